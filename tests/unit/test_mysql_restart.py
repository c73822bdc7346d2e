"""Which member of a cluster may restart."""

import pytest
from ansible.plugins.loader import init_plugin_loader

init_plugin_loader()  # finds the collection, of which the module is a part

from ansible_collections.tandem.web.plugins.modules.mysql_restart import spared  # noqa: E402


@pytest.mark.parametrize(
    ("online", "members", "may"),
    [(3, 3, True), (2, 3, False), (5, 5, True), (4, 5, True), (3, 5, False), (1, 1, True), (2, 2, False)],
)
def test_the_others_have_to_be_a_majority(online: int, members: int, may: bool) -> None:
    assert spared(online, members) is may
