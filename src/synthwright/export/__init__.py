"""Handing a dataset on: formats that trainers read."""
