"""The networks: `architectures` and a `convolution` of theirs, many side by side (`stack`), their file (`storage`), one as a pair's
(`restriction`).
"""
