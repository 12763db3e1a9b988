"""One route to several agents: a new message goes to an agent that, by its card, can do what it asks for."""

import json
import re
import time
from collections import Counter

import pytest

import manifests as m
from client import Connection, ask
from gateway import eventually
from ports import free_port

CARD = "/.well-known/agent-card.json"
OLD_CARD = "/.well-known/agent.json"
JSON = {"Content-Type": "application/json", "A2A-Version": "1.0"}
STRIP = {"type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}}}


def skill(name, *tags, modes=()):
    return {"id": name, "tags": list(tags), "inputModes": list(modes)}


CARDS = {
    "painter": {
        "skills": [skill("paint", "art", modes=["image/png", "text/plain"])],
        "capabilities": {"streaming": True},
        "defaultInputModes": ["text/plain"],
        "supportedInterfaces": [{"url": "http://painter/", "tenant": "museum"}],
    },
    "sums": {
        "skills": [skill("sum", "maths")],
        "defaultInputModes": ["application/json"],
        "supportedInterfaces": [{"url": "http://sums/", "tenant": "school"}],
    },
    "clerk": {
        "skills": [skill("file", "paper", "art"), skill("sum")],
        "capabilities": {"pushNotifications": True, "streaming": False},
        "defaultInputModes": ["text/plain", "application/pdf"],
        "supportedInterfaces": [{"url": "http://clerk/"}],
    },
}


def answer_as(name):
    def answer(request, stream):
        message = {"role": "ROLE_AGENT", "messageId": "a", "parts": [{"text": name}]}
        result = json.dumps({"jsonrpc": "2.0", "id": 1, "result": {"message": message}})
        stream.respond(200, result, [("Content-Type", "application/json")])

    return answer


def serve_card(upstream, card, path=CARD, headers=()):
    upstream.on(path, lambda request, stream: stream.respond(200, json.dumps(card), [("Content-Type", "application/json"), *headers]))


@pytest.fixture
def site(start_gateway, start_upstream):
    """The port of a gateway, and the agents by name."""
    agents = {name: start_upstream(name) for name in CARDS}
    for name, agent in agents.items():
        agent.on("/", answer_as(name))
        serve_card(agent, CARDS[name])
    port = free_port()
    services = [o for name, a in agents.items() for o in m.service(name, a.port, app_protocol="agentgateway.dev/a2a")]
    route = m.route("agents", m.rule(*CARDS, matches=[m.prefix("/")], filters=[STRIP]))
    start_gateway(m.gateway(port), *services, route, workers=1)  # each has its own cards
    return port, agents


def send(port, method="SendMessage", message=None, **params):
    parts = [{"text": "hi"}]
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"message": {"parts": parts, **(message or {})}, **params}}
    return ask(port, "POST", "/", JSON, json.dumps(body).encode())


def who(port, *args, times=12, **params):
    """The names of the agents that answer."""
    answers = [send(port, *args, **params).json() for _ in range(times)]
    return {a["result"]["message"]["parts"][0]["text"] for a in answers}


@pytest.mark.parametrize(
    "asked,expected",
    [
        ({"metadata": {"skillId": "paint"}}, {"painter"}),
        ({"message": {"metadata": {"skill": "paint"}}}, {"painter"}),
        ({"metadata": {"skill": "sum"}, "message": {"parts": [{"data": {}}]}}, {"sums"}),
        ({"metadata": {"tag": "paper"}}, {"clerk"}),
        ({"metadata": {"tag": "art"}, "message": {"parts": [{"raw": "", "mediaType": "image/png"}]}}, {"painter"}),
        ({"message": {"parts": [{"raw": "", "mediaType": "application/pdf"}]}}, {"clerk"}),
        ({"message": {"parts": [{"kind": "file", "file": {"mimeType": "application/pdf"}}]}}, {"clerk"}),
        ({"message": {"parts": [{"raw": "", "mediaType": "video/mp4"}]}}, {"painter", "sums", "clerk"}),
        ({"tenant": "school", "message": {"parts": [{"data": {}}]}}, {"sums"}),
        ({"configuration": {"taskPushNotificationConfig": {"url": "http://x/"}}}, {"clerk"}),
        ({}, {"painter", "clerk"}),
    ],
)
def test_a_message_goes_to_an_agent_that_can_do_it(site, asked, expected):
    port, _ = site
    assert who(port, times=24 if len(expected) > 1 else 8, **asked) == expected


def test_a_stream_goes_to_an_agent_that_streams(site):
    port, _ = site
    assert who(port, "SendStreamingMessage") == {"painter"}


def test_a_skill_that_nobody_has(site):
    port, agents = site
    answer = send(port, metadata={"skillId": "fly"})
    assert answer.status == 400 and answer.json()["error"]["code"] == -32004
    assert answer.json()["error"]["message"] == "no agent here has the skill that the message asks for"
    assert not any(agent.seen("/") for agent in agents.values())


def test_cards_are_fetched_once(site):
    port, agents = site
    who(port, times=30)
    seen = Counter(request.path for agent in agents.values() for request in agent.requests)
    assert all(len(agent.seen(CARD)) in (1, 2) for agent in agents.values()), seen  # of each worker


def test_an_agent_whose_card_is_away_is_still_an_agent(site):
    """Nothing is known of it, so much is hoped, but for those who are known to fit there is no doubt."""
    port, agents = site
    agents["clerk"].on(CARD, lambda request, stream: stream.respond(500, ""))
    assert who(port, message={"parts": [{"raw": "", "mediaType": "image/png"}]}, metadata={"skill": "paint"}) == {"painter"}
    assert send(port, metadata={"skill": "file"}).json()["result"]["message"]["parts"][0]["text"] == "clerk"


def test_a_card_that_does_not_come_holds_a_call_for_seconds_at_most(site):
    port, agents = site
    agents["sums"].on(CARD, lambda request, stream: time.sleep(6))
    begun = time.time()
    assert send(port, metadata={"skill": "paint"}).status == 200
    assert 1.5 < time.time() - begun < 5
    begun = time.time()
    assert send(port, metadata={"skill": "paint"}).status == 200
    assert time.time() - begun < 1.5


def test_client_that_leaves_while_cards_are_awaited(site):
    port, agents = site
    for agent in agents.values():
        agent.on(CARD, lambda request, stream: time.sleep(1))
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": {"metadata": {"skill": "paint"}}}).encode()
    for _ in range(5):
        with Connection(port) as connection:
            connection.request("POST", "/", JSON, body)
            time.sleep(0.1)
    eventually(lambda: send(port, metadata={"skill": "paint"}).status == 200)


@pytest.mark.parametrize("junk", [b"", b"{", b"[]", b"x" * 300000], ids=["empty", "cut", "list", "large"])
def test_card_that_is_none(site, junk):
    port, agents = site
    agents["painter"].on(CARD, lambda request, stream: stream.respond(200, junk))
    assert send(port, metadata={"skill": "sum"}).status == 200
    assert send(port, metadata={"skill": "paint"}).json()["result"]["message"]["parts"][0]["text"] == "painter"


def test_cards_of_0_2_are_found(start_gateway, start_upstream):
    agents = {name: start_upstream(name) for name in ("painter", "sums")}
    for name, agent in agents.items():
        agent.on("/", answer_as(name))
        agent.on(CARD, lambda request, stream: stream.respond(404, ""))
        serve_card(agent, CARDS[name], OLD_CARD)
    port = free_port()
    services = [o for name, a in agents.items() for o in m.service(name, a.port, app_protocol="agentgateway.dev/a2a")]
    start_gateway(m.gateway(port), *services, m.route("agents", m.rule(*agents, filters=[STRIP])))
    assert who(port, metadata={"skill": "sum"}) == {"sums"}


def test_a_card_is_asked_for_again_when_it_is_old(site):
    port, agents = site
    serve_card(agents["sums"], CARDS["sums"], headers=[("Cache-Control", "public, max-age=1")])  # 5 s: not more often
    assert who(port, metadata={"skill": "sum"}, message={"parts": [{"data": {}}]}) == {"sums"}
    serve_card(agents["sums"], {**CARDS["sums"], "skills": [skill("paint")]})

    def moved():
        answer = send(port, metadata={"skill": "paint"}, message={"parts": [{"data": {}}]}).json()
        return answer["result"]["message"]["parts"][0]["text"] == "sums"

    eventually(moved, 20)
