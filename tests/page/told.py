"""What the page tells, read back."""


def number(text: str) -> float:
    """Read a number as the page writes it."""
    superscripts = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹−", "-0123456789-")
    return float(text.replace("·10", "e").translate(superscripts))
