import re
import string

from vip_offline.report.html import style


def test_the_skeleton_needs_no_network_and_closes_what_it_opens() -> None:
    texts = [value for name, value in vars(style).items() if name.isupper()]
    whole = "".join(each if isinstance(each, str) else each.template for each in texts)
    assert not re.search(r"https?://|@import|url\(", whole)
    assert whole.count("{") == whole.count("}")
    assert "prefers-color-scheme: dark" in whole
    assert all(isinstance(each, str | string.Template) for each in texts)
