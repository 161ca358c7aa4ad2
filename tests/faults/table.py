"""The fault table: every row that the design names, in order."""

from tests.faults import first_half, second_half

FAULTS = (*first_half.FAULTS, *second_half.FAULTS)
