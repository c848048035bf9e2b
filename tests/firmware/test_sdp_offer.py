"""What is asked of an offer's SDP and of ICE candidates before anything takes them apart."""

import ipaddress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.live.sdp_offer import (
    MAX_SESSION_CANDIDATES,
    Candidate,
    parse_candidates,
    parse_offer,
)
from firmware.protocol.encoding import WireError

CHROMIUM_OFFER = Path(__file__).parent.parent / "vectors" / "sdp" / "chromium-156-offer.sdp"
HEAD = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
BUNDLE = "a=group:BUNDLE {}\r\n"
PRINT = "a=fingerprint:sha-256 AA:BB\r\n"
VIDEO = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:0\r\na=rtpmap:96 H264/90000\r\n" + PRINT
AUDIO = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:1\r\n" + PRINT
DATA = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:2\r\n" + PRINT
HOST = "candidate:1 1 udp 2130706431 192.0.2.2 50000 typ host generation 0"
NAME = "candidate:2 1 UDP 2113937151 3d1b3a5c-9f00-4a5e-8d3e-1a2b3c4d5e6f.local 50001 typ host"
TCP = "candidate:3 1 tcp 1518280447 192.0.2.2 9 typ host tcptype active"


def test_candidates_are_taken_out_and_everything_else_stays() -> None:
    head = HEAD + BUNDLE.format("0 1 2")
    offer = parse_offer(
        head + VIDEO + f"a={HOST}\r\na={NAME}\r\na=end-of-candidates\r\n" + AUDIO + DATA
    )

    assert offer.sdp == head + VIDEO + AUDIO + DATA
    assert [candidate.address for candidate in offer.candidates] == [
        "192.0.2.2",
        "3d1b3a5c-9f00-4a5e-8d3e-1a2b3c4d5e6f.local",
    ]
    assert offer.is_complete
    assert offer.has_audio


def test_an_offer_without_candidates_waits_for_more() -> None:
    offer = parse_offer(HEAD + BUNDLE.format("0") + VIDEO)

    assert offer.candidates == ()
    assert not offer.is_complete
    assert not offer.has_audio
    assert offer.has_video


def test_an_offer_of_a_data_channel_alone_has_no_video() -> None:
    assert not parse_offer(HEAD + BUNDLE.format("2") + DATA).has_video


def test_only_the_candidates_of_the_section_that_carries_all_count() -> None:
    offer = parse_offer(CHROMIUM_OFFER.read_text())

    assert [candidate.port for candidate in offer.candidates] == [40765, 39236]
    assert all(candidate.address.endswith(".local") for candidate in offer.candidates)


def test_the_bundles_section_need_not_be_the_first() -> None:
    bundled = HEAD + BUNDLE.format("2 0")
    other = HOST.replace("50000", "50009")
    offer = parse_offer(bundled + VIDEO + f"a={HOST}\r\n" + DATA + f"a={other}\r\n")

    assert [candidate.port for candidate in offer.candidates] == [50009]


B0 = HEAD + BUNDLE.format("0")
B02 = HEAD + BUNDLE.format("0 2")


@pytest.mark.parametrize(
    "sdp",
    [B0 + VIDEO + VIDEO, B0 + VIDEO + AUDIO + AUDIO, B02 + VIDEO + DATA + DATA,
     B0 + VIDEO + "m=image 9 udptl t38\r\n", B0 + VIDEO + "m=\r\n", B0 + AUDIO, B0,
     B0 + VIDEO + "a=" + "x" * 5000 + "\r\n", "v=0\r\n" * 3000,
     B0 + VIDEO + f"a={HOST}\r\n".replace("50000", "0"),
     HEAD + VIDEO, B0 + VIDEO + DATA, B02 + VIDEO, B0 + B0 + VIDEO, B0 + BUNDLE.format("0") + VIDEO,
     B02 + VIDEO + DATA.replace("mid:2", "mid:0"), B02 + VIDEO + DATA.replace("a=mid:2\r\n", ""),
     B02 + VIDEO + DATA.replace(PRINT, ""), B02 + VIDEO + DATA.replace("AA", "CC"),
     B0 + VIDEO.replace(PRINT, ""), B02 + VIDEO + DATA + "a=fingerprint:x\r\n",
     B0 + VIDEO.replace("a=mid:0", "a=mid:0\r\na=mid:0"), HEAD + BUNDLE.format("0 0") + VIDEO],
)  # fmt: skip
def test_refuses_sections_lines_bundles_and_ports_that_cannot_be(sdp: str) -> None:
    with pytest.raises(WireError):
        parse_offer(sdp)


def test_a_fingerprint_before_all_sections_counts_for_each() -> None:
    sections = (VIDEO + DATA).replace(PRINT, "")

    assert parse_offer(HEAD + PRINT + BUNDLE.format("0 2") + sections).candidates == ()


def test_reads_an_address_and_a_name() -> None:
    assert parse_candidates([HOST, NAME]) == (
        Candidate(
            foundation="1", priority=2130706431, address="192.0.2.2", port=50000, type="host"
        ),
        Candidate(
            foundation="2",
            priority=2113937151,
            address="3d1b3a5c-9f00-4a5e-8d3e-1a2b3c4d5e6f.local",
            port=50001,
            type="host",
        ),
    )


@pytest.mark.parametrize(
    "line",
    [TCP, HOST.replace(" 1 udp", " 2 udp"), HOST.replace("host", "prflx"),
     HOST.replace("192.0.2.2", "example.org"), HOST.replace("192.0.2.2", "a.b.local"),
     HOST.replace("192.0.2.2", "224.0.0.1"), HOST.replace("192.0.2.2", "0.0.0.0"),
     HOST.replace("192.0.2.2", "ff02::1")],
)  # fmt: skip
def test_passes_over_candidates_that_it_can_not_use(line: str) -> None:
    assert parse_candidates([line]) == ()


@pytest.mark.parametrize(
    "line",
    ["", "candidate:", "a=" + HOST, HOST.replace("50000", "65536"), HOST.replace("50000", "-1"),
     HOST.replace("2130706431", "99999999999"), HOST.replace("2130706431", "0"),
     HOST.replace("candidate:1", "candidate:é"), HOST.replace(" typ", ""), HOST + "\n" + HOST,
     HOST.replace("50000", "٥٠٠٠٠")],
)  # fmt: skip
def test_refuses_what_is_no_candidate(line: str) -> None:
    with pytest.raises(WireError):
        parse_candidates([line])


def test_refuses_more_candidates_than_a_session_may_have() -> None:
    lines = [HOST.replace("50000", str(port)) for port in range(1, MAX_SESSION_CANDIDATES + 2)]
    with pytest.raises(WireError):
        parse_candidates(lines)
    assert len(parse_candidates(lines[:-1])) == MAX_SESSION_CANDIDATES


@given(st.sampled_from([HOST, NAME, TCP]), st.data())
def test_any_change_of_a_candidate_is_taken_or_refused(line: str, data: st.DataObject) -> None:
    begin = data.draw(st.integers(0, len(line)))
    end = data.draw(st.integers(begin, len(line)))
    try:
        taken = parse_candidates([line[:begin] + data.draw(st.text(max_size=40)) + line[end:]])
    except WireError:
        return
    for candidate in taken:
        assert 1 <= candidate.port <= 65535
        assert candidate.address.endswith(".local") or ipaddress.ip_address(candidate.address)


@given(st.data())
def test_any_change_of_an_offer_is_taken_or_refused(data: st.DataObject) -> None:
    sdp = HEAD + BUNDLE.format("0 1 2") + VIDEO + f"a={HOST}\r\na={NAME}\r\n" + AUDIO + DATA
    begin = data.draw(st.integers(0, len(sdp)))
    end = data.draw(st.integers(begin, len(sdp)))
    try:
        offer = parse_offer(sdp[:begin] + data.draw(st.text(max_size=40)) + sdp[end:])
    except WireError:
        return
    assert not any(line.startswith("a=candidate:") for line in offer.sdp.splitlines())
