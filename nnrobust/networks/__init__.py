"""The networks: `architectures`, many of them side by side (`stack`), their file (`storage`), one as a pair's (`restriction`)."""
