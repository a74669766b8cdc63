"""Boxes in the formats that people have them in: one module each, which reads and writes it.

Every reader makes a table of the columns of labels.csv, one line an object and one of empty cells
for an image without any; so whoever reads labels reads them all.
"""
