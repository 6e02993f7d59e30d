"""Screens between a predicted compound and a target: can it be made and kept here?"""
