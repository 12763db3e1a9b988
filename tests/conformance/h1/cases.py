"""The whole corpus by name, and how a case is run."""

import answers
import requests_framing
import requests_head
from corpus import Request

BY_BYTE_MAX = 700  # a request up to this size is also sent one byte at a time


def _named():
    cases = [("request", case) for module in (requests_framing, requests_head) for case in module.CASES]
    cases += [("answer", case) for case in answers.CASES]
    named = {f"{kind}: {case.name}": case for kind, case in cases}
    assert len(named) == len(cases), "two cases have one name"
    return named


CASES = _named()


def run(judge, case):
    """judge.Wrong if it does not come out as it must."""
    if not isinstance(case, Request):
        judge.answer(case)
        return
    judge.request(case)
    if len(case.data) <= BY_BYTE_MAX:
        judge.request(case, step=1)
