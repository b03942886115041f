"""Experiments beside the main comparison: `growth` with n, the 2-D `plane`, nearest adversarial images, `campaign` and `plan`."""
