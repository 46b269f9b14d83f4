"""What two offices do while the line is down, typed through the HTTP API of a running node.

    python -m tests.support.offline_work paris  http://127.0.0.1:8310 TOKEN
    python -m tests.support.offline_work london http://127.0.0.1:8320 TOKEN
    python -m tests.support.offline_work inbox  http://127.0.0.1:8300 TOKEN
    python -m tests.support.offline_work decide http://127.0.0.1:8310 TOKEN

Of the first 55 customers by name both edit 50, the first 25 in different fields and the others in the same one; the
last five are deleted in London and edited in Paris, which also enters 200 new customers. Used by docs/main-job.md.
"""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from collections import Counter
from typing import Any

NEW = 200


class Api:
    """A node's API with a token."""

    def __init__(self, url: str, token: str) -> None:
        self._url, self._token = url.rstrip("/"), token

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON answer; a refusal ends the program with its sentence."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self._url}/api/v1/{path}", data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            sys.exit(f"{method} {path}: {error.code} {error.read().decode()}")
        return json.loads(text) if text else None

    def first(self, path: str, count: int) -> list[dict[str, Any]]:
        """So many items of a list."""
        items: list[dict[str, Any]] = self.ask("GET", f"{path}{'&' if '?' in path else '?'}limit={count}")["items"]
        return items


def paris(api: Api) -> None:
    """Edit 55, add 200 with contact, deal and posted order."""
    chosen = api.first("companies?order=name", 55)
    for number, company in enumerate(chosen):
        change: dict[str, Any] = {"website": f"www.paris-{number}.example"}
        if 25 <= number < 50:
            change = {"payment_days": 10 + number - 25}
        api.ask("PATCH", f"companies/{company['id']}", change)
    pipeline = api.first("pipelines", 1)[0]
    products = api.first("products", 2)
    for number in range(NEW):
        company = api.ask("POST", "companies", {"name": f"ZZ Maquettes {number} SARL", "office": "PAR"})
        person = api.ask("POST", "persons", {
            "first_name": "Claire", "last_name": f"Dupont {number}", "office": "PAR",
            "positions": [{"company": company["id"], "main": True}],
        })  # fmt: skip
        deal = api.ask("POST", "deals", {
            "title": f"First order {number}", "company": company["id"], "person": person["id"], "office": "PAR",
            "pipeline": pipeline["id"], "stage": pipeline["stages"][0]["id"], "amount": "117.95", "currency": "USD",
        })  # fmt: skip
        order = api.ask("POST", "orders", {
            "company": company["id"], "deal": deal["id"], "dated": "2005-06-01", "currency": "USD", "office": "PAR",
            "lines": [{"product": products[0]["id"], "quantity": "3", "price": "31.95"},
                      {"product": products[1]["id"], "quantity": "1", "price": "22.10"}],
        })  # fmt: skip
        api.ask("POST", f"orders/{order['id']}/post")


def london(api: Api) -> None:
    """Edit the same 50, delete five."""
    for number, company in enumerate(api.first("companies?order=name", 55)):
        if number >= 50:
            api.ask("DELETE", f"companies/{company['id']}")
        elif number >= 25:
            api.ask("PATCH", f"companies/{company['id']}", {"payment_days": 60 + number - 25})
        else:
            api.ask("PATCH", f"companies/{company['id']}", {"industry": f"London {number}"})


def inbox(api: Api) -> None:
    """Print how many conflicts of each kind are open, one of each with both its values."""
    found = api.first("conflicts", 200)
    print(json.dumps(dict(sorted(Counter(one["kind"] for one in found).items()))))
    for kind in ("field", "delete"):
        one = next((c for c in found if c["kind"] == kind), None)
        if one is not None:
            print(json.dumps(one, ensure_ascii=False, indent=1), file=sys.stderr)


def decide(api: Api) -> None:
    """Settle every open conflict for the side that lost; what was deleted stays (its edit won)."""
    for one in api.first("conflicts", 200):
        choice = "loser" if one["kind"] == "field" else "winner"
        api.ask("POST", f"conflicts/{one['id']}/decide", {"choice": choice})


if __name__ == "__main__":
    {"paris": paris, "london": london, "inbox": inbox, "decide": decide}[sys.argv[1]](Api(sys.argv[2], sys.argv[3]))
