"""The classicmodels data set: a trade in scale models with seven offices, and what its readme says of it.

The files are not part of the project. `folder()` looks for them where KOGGE_DATA says, else beside the project's
folder in `shared/data`, and skips the test with a reason if they are not there.
"""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path

import pytest

PROFILE = Path(__file__).parent.parent / "data" / "classicmodels.toml"
FILES = ("offices", "employees", "customers", "productlines", "products", "orders", "orderdetails", "payments")
OFFICES = ("BOS", "LON", "NYC", "PAR", "SFO", "SYD", "TYO")
REVENUE = {
    "SFO": Decimal("1429063.57"), "BOS": Decimal("892538.62"), "NYC": Decimal("1157589.72"),
    "PAR": Decimal("3083761.58"), "TYO": Decimal("457110.07"), "SYD": Decimal("1147176.35"),
    "LON": Decimal("1436950.70"),
}  # fmt: skip
REVENUE_TOTAL = Decimal("9604190.61")
WITHOUT_CANCELLED = Decimal("9365336.43")
PAYMENTS = {
    "SFO": Decimal("1337439.58"), "BOS": Decimal("835882.33"), "NYC": Decimal("1072619.47"),
    "PAR": Decimal("2819168.90"), "TYO": Decimal("457110.07"), "SYD": Decimal("1007292.98"),
    "LON": Decimal("1324325.90"),
}  # fmt: skip
PAYMENTS_TOTAL = Decimal("8853839.23")
CUSTOMERS = {"SFO": 12, "BOS": 12, "NYC": 15, "PAR": 29, "TYO": 5, "SYD": 10, "LON": 17, "HQ": 22}
BY_YEAR = {"2003": Decimal("3317348.39"), "2004": Decimal("4515905.51"), "2005": Decimal("1770936.71")}
BY_GROUP = {
    "Classic Cars": Decimal("3853922.49"), "Motorcycles": Decimal("1121426.12"), "Planes": Decimal("954637.54"),
    "Ships": Decimal("663998.34"), "Trains": Decimal("188532.92"), "Trucks and Buses": Decimal("1024113.57"),
    "Vintage Cars": Decimal("1797559.63"),
}  # fmt: skip


def files() -> list[Path]:
    """The eight CSV files, or the test is skipped."""
    shared = Path(__file__).parents[3] / "shared" / "data"
    folder = Path(os.environ.get("KOGGE_DATA", shared)) / "business" / "classicmodels"
    found = [folder / f"{name}.csv" for name in FILES]
    if not all(path.exists() for path in found):
        pytest.skip(f"the classicmodels files are not in {folder} (name the data's folder in KOGGE_DATA)")
    return found
