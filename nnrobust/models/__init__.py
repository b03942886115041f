"""Models of others and of your own, from their files to modules that take images in [0, 1].

Read `blocks` (what has to be stated of a model, and the roster `verification`), `fetch` (its file), `weights` (what is read of a
file, and what is refused), `architectures` and `residual` (the networks themselves), `onnx`, `exported`,
`load` (all of it together), `sources` (a model by a text), `guard`.
"""
