"""Scripts that make datasets. (Being a package keeps other packages called `datasets` away.)"""
