"""Experiments beside the main comparison: `growth` with n, the 2-D `plane`, nearest adversarial images, a `campaign` by its `plan`."""
