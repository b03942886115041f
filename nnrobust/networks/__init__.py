"""The networks: `architectures` and their `convolution`, many side by side (`stack`), their file (`storage`), one as a pair's
(`restriction`).
"""
