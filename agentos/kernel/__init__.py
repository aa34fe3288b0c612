"""The kernel: the model that turns a sentence into a plan, and the graph that carries it out."""
