"""A generated world of actions, in which it is known beforehand what each kind of model can learn."""
