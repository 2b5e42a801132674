"""Run policies x scenarios x modes x guests on several VMs, by workers of `dask.distributed`."""
