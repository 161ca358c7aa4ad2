"""The fault table: every row that the design names, in order."""

from tests.faults import first_third, last_third, second_third

FAULTS = (*first_third.FAULTS, *second_third.FAULTS, *last_third.FAULTS)
