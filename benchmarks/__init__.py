"""Speed, measured. (Being a package keeps other packages called `benchmarks` away.)"""
