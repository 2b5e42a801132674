"""Load policies in the guest, set its mode, label its files, and change its module store."""
