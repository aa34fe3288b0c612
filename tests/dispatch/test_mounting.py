"""What a mounted server may not be called."""

from __future__ import annotations

from typing import Any, cast

import pytest

from agentos.dispatch.mounting import Mounting
from agentos.errors import UserError
from agentos.policy.scopes import DOORS


class Nobody:
    """Servers, none of which is mounted."""

    def names(self) -> list[str]:
        return []


def mounting(table: Any) -> Mounting:
    made = Mounting.__new__(Mounting)
    made._mounts, made._table = cast(Any, Nobody()), table
    return made


@pytest.mark.parametrize("door", sorted(DOORS))
def test_no_server_takes_the_name_of_a_door_that_scopes_of_keys_name(door: str) -> None:
    with pytest.raises(UserError, match="means something else"):
        mounting([])._free(door)
    mounting([])._free(f"{door}-x")
