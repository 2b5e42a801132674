"""Many runs on several VMs: policies x scenarios x modes x guests, on workers of `dask.distributed`."""
