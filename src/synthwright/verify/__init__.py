"""Reading answers out of replies and comparing them: numbers, mathematics, choices, labels, values, programs."""

from synthwright.verify.base import Unread, Verdict, Verifier
from synthwright.verify.choice import Choice, options_of
from synthwright.verify.label import Label
from synthwright.verify.math import Math
from synthwright.verify.number import Number
from synthwright.verify.python import HiddenTests, Value

__all__ = ["Choice", "HiddenTests", "Label", "Math", "Number", "Unread", "Value", "Verdict", "Verifier", "options_of"]
