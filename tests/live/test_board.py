import asyncio
from typing import Any

from sandbox.live.board import Board, News


def news_of(board: Board, last_id: str | None = None, count: int = 1) -> list[News]:
    """The next update of a watcher."""

    async def watch() -> list[News]:
        told = board.watch(last_id)
        return [await anext(told) for _ in range(count)]

    return asyncio.run(watch())


def test_a_new_watcher_is_told_everything() -> None:
    board = Board()
    board.put({"payments": ["a"], "payment/a": {"version": 1}})

    (news,) = news_of(board)

    assert (news.kind, news.parts) == ("state", {"payments": ["a"], "payment/a": {"version": 1}})


def test_a_watcher_who_comes_back_is_told_what_is_new_since() -> None:
    board = Board()
    board.put({"a": 1, "b": 1})
    (seen,) = news_of(board)
    board.put({"a": 2})
    board.put({"c": 1})

    (news,) = news_of(board, seen.id)

    assert (news.kind, news.parts) == ("change", {"a": 2, "c": 1})


def test_an_id_of_another_run_or_of_no_meaning_means_everything() -> None:
    board, other = Board(), Board()
    board.put({"a": 1})
    other.put({"a": 1})
    (elsewhere,) = news_of(other)
    run = news_of(board)[0].id.partition("-")[0]

    for last_id in (elsewhere.id, "", "-", "x", f"{run}-", f"{run}-x", f"{run}-2", f"{run}--1", f"{run}-²"):
        assert news_of(board, last_id)[0].kind == "state"


def test_what_is_put_again_is_no_news() -> None:
    board = Board()
    board.put({"a": 1})
    (first,) = news_of(board)
    board.put({"a": 1})

    assert news_of(board)[0].id == first.id


def test_a_watcher_waits_for_the_next_change_and_is_told_each_once() -> None:
    board = Board()

    async def watch() -> list[Any]:
        told = board.watch(None)
        board.put({"a": 1})
        first = await anext(told)
        second = asyncio.ensure_future(anext(told))
        await asyncio.sleep(0)
        assert not second.done()
        board.put({"a": 2})
        board.put({"b": 1})
        return [first.parts, (await second).parts]

    assert asyncio.run(watch()) == [{"a": 1}, {"a": 2, "b": 1}]


def test_a_part_that_is_forgotten_is_not_told_any_more() -> None:
    board = Board()
    board.put({"a": 1, "b": 1})
    board.forget(["a", "never there"])

    assert news_of(board)[0].parts == {"b": 1}
    assert board.part("a") is None


def test_a_part_that_was_forgotten_and_comes_back_is_news() -> None:
    board = Board()
    board.put({"a": 1})
    (seen,) = news_of(board)
    board.forget(["a"])
    board.put({"a": 1})

    assert news_of(board, seen.id)[0].parts == {"a": 1}
