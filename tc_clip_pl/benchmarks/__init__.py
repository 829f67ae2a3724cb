"""How fast the model, its kernels and its data are on this machine; one file per benchmark, each yields `Row`s."""
