"""What a number in a configuration can be: the types of hyper-parameters, with their bounds.

A class whose fields are hyper-parameters is a pydantic dataclass (`config=STRICT`) with these types. So the
class that uses a value is the schema of it too, and refuses what is out of bounds.
"""

from typing import Annotated

from pydantic import ConfigDict, Field

STRICT = ConfigDict(extra="forbid")

Name = Annotated[str, Field(strict=True, pattern=r"^[A-Za-z0-9_.-]+$")]
Flag = Annotated[bool, Field(strict=True)]
Count = Annotated[int, Field(strict=True, ge=0)]
PositiveCount = Annotated[int, Field(strict=True, gt=0)]
Epochs = Annotated[PositiveCount, Field(le=10_000_000)]  # of XOR, the smallest problem, some ten minutes
Real = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Positive = Annotated[Real, Field(gt=0)]
NonNegative = Annotated[Real, Field(ge=0)]
Fraction = Annotated[Real, Field(ge=0, lt=1)]
Weight = Annotated[Real, Field(ge=-1e6, le=1e6)]
