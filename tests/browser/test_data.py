"""Buckets and tables as a person uses them: upload, look, load, query, save."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote
from urllib.request import Request, urlopen

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser.conftest import Console
from tests.stories.conftest import Server, Shell

DROP = """([target, files]) => {
    const transfer = new DataTransfer();
    for (const [name, text] of files) transfer.items.add(new File([text], name, {type: 'text/csv'}));
    for (const kind of ['dragover', 'drop'])
        target.dispatchEvent(new DragEvent(kind, {dataTransfer: transfer, bubbles: true, cancelable: true}));
}"""
ODD = (
    "a b.txt",
    "100%.txt",
    "what?.txt",
    "x#y.txt",
    "two\nlines.txt",
    "a//b.txt",
    "up/../up.txt",
    "/lead",
    "t/",
)


def ask(server: Server, verb: str, path: str, body: object = None, kind: str = "application/json") -> dict:
    """A request of the REST API."""
    content = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
    request = Request(server.endpoint + path, content, {"Content-Type": kind}, method=verb)
    with urlopen(request, timeout=60) as answer:
        text = answer.read()
    return json.loads(text) if text else {}


def store(server: Server, name: str, content: bytes, kind: str = "text/plain") -> None:
    path = f"/upload/storage/v1/b/data-1/o?uploadType=media&name={quote(name, safe='')}"
    ask(server, "POST", path, content, kind)


@pytest.fixture(scope="module")
def filled(console_server: Server) -> Server:
    """A bucket with odd names, and a table with every kind of value."""
    ask(console_server, "POST", "/storage/v1/b?project=local", {"name": "data-1"})
    for name in ODD:
        store(console_server, name, f"content of {name}".encode())
    ask(
        console_server,
        "POST",
        "/bigquery/v2/projects/local/datasets",
        {"datasetReference": {"datasetId": "mnist"}},
    )
    fields = [
        {"name": "id", "type": "INTEGER", "mode": "REQUIRED"},
        {"name": "score", "type": "FLOAT"},
        {"name": "price", "type": "NUMERIC"},
        {"name": "seen", "type": "TIMESTAMP"},
        {"name": "name", "type": "STRING"},
        {"name": "image", "type": "FLOAT", "mode": "REPEATED"},
        {"name": "home", "type": "RECORD", "fields": [{"name": "city", "type": "STRING"}]},
    ]
    table = {"tableReference": {"datasetId": "mnist", "tableId": "mixed"}, "schema": {"fields": fields}}
    ask(console_server, "POST", "/bigquery/v2/projects/local/datasets/mnist/tables", table)
    rows = [
        {
            "id": number,
            "score": 0.1 + 0.2,
            "price": "12345678901234567890.123456789",
            "seen": "2024-03-01T12:34:56.000001Z",
            "name": None if number % 2 else f"이름 {number}",
            "image": [one / 7 for one in range(9)],
            "home": {"city": "서울"},
        }
        for number in range(120)
    ]
    body = {"rows": [{"json": row} for row in rows]}
    ask(console_server, "POST", "/bigquery/v2/projects/local/datasets/mnist/tables/mixed/insertAll", body)
    return console_server


def test_every_object_is_found_by_its_link_whatever_its_name(console: Console, filled: Server):
    console.open("/buckets/data-1", until="tbody tr")
    found = set()
    ahead = [link.get_attribute("href") for link in console.page.locator("tbody th a").all()]
    while ahead:
        console.page.goto(console.server.endpoint + str(ahead.pop()))
        console.page.locator("main pre, main table").first.wait_for()
        if console.page.locator("main pre").count():
            found.add(console.page.locator("main pre").inner_text())
        else:
            ahead += [link.get_attribute("href") for link in console.page.locator("tbody th a").all()]

    assert found == {f"content of {name}" for name in ODD}


def test_dropped_files_are_uploaded_into_the_folder_that_is_open(console: Console, filled: Server):
    page = console.open("/buckets/data-1/drop%20here", until="main .empty")
    zone = page.locator("main > div").first.element_handle()

    page.evaluate(DROP, [zone, [["하나.csv", "a,b\n1,2\n"], ["two.csv", "a\n3\n"]]])

    expect(page.locator("main")).to_contain_text("2 files are uploaded")
    page.get_by_role("link", name="하나.csv").click()
    expect(page.locator("main table td")).to_have_text(["2"])
    assert page.url.endswith("?file=1")


def test_a_file_can_be_downloaded_and_deleted(console: Console, filled: Server):
    store(filled, "gone/soon.txt", b"soon")
    page = console.open("/buckets/data-1/gone/soon.txt?file=1", until=".facts")

    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()

    assert Path(download.value.path()).read_bytes() == b"soon"
    expect(page.locator("main")).to_contain_text("Nothing is in here")


@pytest.mark.parametrize("packing", ["snappy", "zstd"])
def test_parquet_is_shown_with_all_digits(console: Console, filled: Server, packing: str):
    table = pa.table({"id": [2**60], "text": ["가"], "at": pa.array([1], pa.timestamp("us", tz="UTC"))})
    file = io.BytesIO()
    pq.write_table(table, file, compression=packing)
    store(filled, f"p/{packing}.parquet", file.getvalue(), "application/octet-stream")

    page = console.open(f"/buckets/data-1/p/{packing}.parquet?file=1", until="main table tbody")

    cells = page.locator("main tbody tr > *").all_inner_texts()
    assert cells == [str(2**60), "가", "1970-01-01 00:00:00.000001 UTC"]


def test_a_picture_is_shown_and_runs_nothing(console: Console, filled: Server):
    script = b"<script>document.title='evil'</script>"
    picture = b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'>" + script + b"</svg>"
    store(filled, "p/evil.svg", picture, "image/svg+xml")

    page = console.open("/buckets/data-1/p/evil.svg?file=1", until="img.picture")

    assert page.locator("img.picture").evaluate("image => image.decode().then(() => image.naturalWidth)") == 9
    assert page.title() == "evil.svg · mlengine"


def test_only_an_empty_bucket_is_deleted(console: Console, filled: Server):
    console.expects("status of 409")
    ask(filled, "POST", "/storage/v1/b?project=local", {"name": "empty-1"})

    page = console.open("/buckets/data-1", until="tbody tr")
    page.get_by_role("button", name="Delete bucket").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete bucket").click()
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("empty")
    page = console.open("/buckets/empty-1", until="main .empty")
    page.get_by_role("button", name="Delete bucket").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete bucket").click()

    expect(page.get_by_role("link", name="data-1")).to_be_visible()
    expect(page.get_by_role("link", name="empty-1")).to_have_count(0)


@pytest.fixture
def own_console(chromium: Browser, tmp_path: Path) -> Iterator[Console]:
    """A console whose server the test may stop."""
    server = Server(tmp_path / "data", Shell(tmp_path))
    server.start()
    context = chromium.new_context(viewport={"width": 1440, "height": 900}, locale="en-US")
    context.set_default_timeout(60_000)
    yield Console(context, server)
    context.close()
    server.shell.run("server", "stop", code=None)


def test_an_upload_goes_on_after_the_server_was_away(own_console: Console, tmp_path: Path):
    page, _, server = own_console
    ask(server, "POST", "/storage/v1/b?project=local", {"name": "data-1"})
    large = tmp_path / "large.bin"
    large.write_bytes(bytes(range(256)) * 4096 * 50)
    sent: list[str] = []

    def look(route: Route) -> None:
        span = route.request.headers["content-range"]
        sent.append(span)
        # In the middle: away it goes, and comes back at the same place.
        if len(sent) == 3:
            port = str(server.record()["port"])
            server.kill()
            route.abort()
            server.shell.run("server", "start", "--detach", "--port", port)
            return
        route.continue_()

    own_console.open("/buckets/data-1", until="main .empty")
    page.route("**/upload/storage/**upload_id**", look)
    page.locator("input[type=file]").set_input_files(large)

    expect(page.locator("main")).to_contain_text("large.bin is uploaded", timeout=60_000)
    assert sent[3] == "bytes */52428800"
    assert sent[4].startswith("bytes 16777216-")
    stored = ask(server, "GET", "/storage/v1/b/data-1/o/large.bin")
    assert stored["size"] == "52428800"


def run(page: Page, sql: str) -> None:
    page.get_by_label("SQL", exact=True).fill(sql)
    page.get_by_label("SQL", exact=True).press("Control+Enter")


def test_a_file_becomes_a_table_and_its_lost_digits_are_told(
    console: Console, filled: Server, tmp_path: Path
):
    file = tmp_path / "numbers.csv"
    file.write_text("id,f\n1,0.1\n2,3.14159265358979323846264338327950288\n")
    page = console.open("/tables?dataset=mnist", until="tbody tr")

    page.get_by_role("region", name="mnist").get_by_role("button", name="Load").click()
    dialog = page.get_by_role("dialog")
    dialog.locator("input[type=file]").set_input_files(file)
    dialog.get_by_role("button", name="Load", exact=True).click()

    expect(dialog).to_contain_text("mnist.numbers has 2 new rows")
    expect(dialog).to_contain_text("1 value lost digits")
    dialog.get_by_role("link", name="Open the table").click()
    expect(page.locator("h1")).to_have_text("numbers")
    expect(page.locator("tbody th")).to_have_text(["id", "f"])


def test_a_bad_file_tells_line_and_column(console: Console, filled: Server, tmp_path: Path):
    file = tmp_path / "bad.csv"
    file.write_text("id\n1\nx\n")
    ask(
        filled,
        "POST",
        "/bigquery/v2/projects/local/datasets/mnist/tables",
        {
            "tableReference": {"datasetId": "mnist", "tableId": "ids"},
            "schema": {"fields": [{"name": "id", "type": "INTEGER"}]},
        },
    )
    page = console.open("/tables/mnist/ids", until="main table")

    page.get_by_role("button", name="Load").click()
    dialog = page.get_by_role("dialog")
    dialog.locator("input[type=file]").set_input_files(file)
    dialog.get_by_label("Lines before the first row").fill("1")
    dialog.get_by_role("button", name="Load", exact=True).click()

    expect(dialog.get_by_role("alert").first).to_contain_text("line 3, column id")


def test_a_table_with_nested_columns_is_made_in_the_form(console: Console, filled: Server):
    page = console.open("/tables?dataset=mnist", until="tbody tr")

    page.get_by_role("button", name="New table").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("people")
    dialog.get_by_role("textbox", name="Column").fill("home")
    dialog.get_by_label("Type").select_option("RECORD")
    dialog.get_by_role("textbox", name="Column").nth(1).fill("rooms")
    dialog.get_by_label("Mode").nth(1).select_option("REPEATED")
    dialog.get_by_role("button", name="Create").click()
    page.get_by_role("link", name="people").click()

    expect(page.locator("tbody th")).to_have_text(["home", "home.rooms"])
    expect(page.locator("tbody tr").nth(1)).to_contain_text("REPEATED")


def test_a_preview_shows_nulls_lists_records_and_every_digit(console: Console, filled: Server):
    page = console.open("/tables/mnist/mixed?tab=preview", until=".cells tbody tr")
    row = page.locator(".cells tbody tr").filter(has_text="NULL").first

    assert row.locator("td").nth(1).inner_text() == "0.30000000000000004"
    assert row.locator("td").nth(2).inner_text() == "12345678901234567890.123456789"
    assert row.locator("time").get_attribute("title") == "2024-03-01 12:34:56.000001 UTC"
    assert row.locator("td").nth(4).inner_text() == "NULL"
    expect(row).to_contain_text("4 more")
    expect(row).to_contain_text("서울")
    page.get_by_role("button", name="Last").click()
    expect(page.locator(".pager")).to_contain_text("Rows 71 to 120 of 120")
    page.get_by_text("7 of 7 columns").click()
    page.get_by_label("image").uncheck()
    expect(page.locator(".cells thead th")).to_have_count(7)
    assert "start=70" in page.url
    assert "columns=" in page.url


def test_an_error_is_marked_where_it_is_before_the_query_runs(console: Console, filled: Server):
    console.expects("status of 400")
    page = console.open("/tables/query")

    page.get_by_label("SQL", exact=True).fill("SELECT id,\n  nope FROM mnist.mixed")

    expect(page.locator(".look")).to_contain_text("Unrecognized name: nope at [2:3]")
    expect(page.locator(".sql mark")).to_have_text("nope")
    page.get_by_role("button", name="Go to 2:3").click()
    box = page.get_by_label("SQL", exact=True)
    assert box.evaluate("box => box.value.slice(box.selectionStart, box.selectionEnd)") == "nope"


def test_a_query_with_a_parameter_runs_and_its_rows_are_downloaded_and_saved(
    console: Console, filled: Server
):
    console.expects("status of 400")  # while the parameter has no type yet
    page = console.open("/tables/query")

    page.get_by_label("SQL", exact=True).fill(
        "SELECT id, score, name FROM mnist.mixed WHERE id < @most ORDER BY id"
    )
    page.get_by_label("@most: Type").select_option("INT64")
    page.get_by_label("@most: Value").fill("2")
    expect(page.locator(".look")).to_contain_text("score FLOAT")
    page.get_by_role("button", name="Run").click()
    expect(page.locator(".cells tbody tr")).to_have_count(2)
    with page.expect_download() as csv:
        page.get_by_role("button", name="Download CSV").click()
    with page.expect_download() as file:
        page.get_by_role("button", name="Download JSON").click()
    page.get_by_role("button", name="Save as table").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Dataset").fill("mnist")
    dialog.get_by_label("Table", exact=True).fill("few")
    dialog.get_by_role("button", name="Save", exact=True).click()
    expect(dialog).to_contain_text("The rows are saved")

    assert Path(csv.value.path()).read_bytes().decode() == (
        "id,score,name\r\n0,0.30000000000000004,이름 0\r\n1,0.30000000000000004,\r\n"
    )
    assert json.loads(Path(file.value.path()).read_text())[1] == {"id": 1, "score": 0.1 + 0.2, "name": None}
    saved = ask(filled, "GET", "/bigquery/v2/projects/local/datasets/mnist/tables/few")
    assert saved["numRows"] == "2"


def test_a_job_is_opened_again_by_its_address_and_from_the_history(console: Console, filled: Server):
    page = console.open("/tables/query")
    run(page, "SELECT 7 AS seven")
    expect(page.locator(".cells tbody td")).to_have_text(["7"])
    address = page.url

    page = console.open("/tables/query?tab=history", until="tbody tr")
    page.get_by_role("link", name="SELECT 7 AS seven").first.click()

    expect(page.get_by_label("SQL", exact=True)).to_have_value("SELECT 7 AS seven")
    expect(page.locator(".cells tbody td")).to_have_text(["7"])
    assert page.url == address
    assert re.search(r"\?job=job_\w+$", page.url)


def test_a_change_and_a_failure_are_told_in_the_servers_words(console: Console, filled: Server):
    console.expects("status of 400")
    page = console.open("/tables/query")

    run(page, "CREATE OR REPLACE TABLE mnist.made AS SELECT 1 AS one")
    expect(page.locator("main")).to_contain_text("CREATE: mnist.made")
    run(page, "DELETE FROM mnist.made WHERE one = 1")
    expect(page.locator("main")).to_contain_text("DELETE: 1 rows changed")
    run(page, "SELECT 1 / 0")

    expect(page.get_by_role("alert").first).to_contain_text("division by zero")


def test_a_query_that_takes_long_can_be_stopped(console: Console, filled: Server):
    numbers = "UNNEST(GENERATE_ARRAY(1, 100000))"
    page = console.open("/tables/query")

    run(page, f"SELECT SUM(SQRT(a * b + c)) FROM {numbers} a, {numbers} b, {numbers} c")
    expect(page.get_by_text("Running …")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()

    expect(page.get_by_role("alert").first).to_contain_text("stopped")
    expect(page.get_by_text("Running …")).to_have_count(0)


def test_the_past_of_a_table_is_one_query_away(console: Console, filled: Server):
    page = console.open("/tables/mnist/mixed?tab=details", until=".facts")

    page.get_by_label("As of").fill("2026-01-02T03:04:05")
    page.get_by_role("link", name="Query as of this time").click()

    expect(page.get_by_label("SQL", exact=True)).to_have_value(re.compile("FOR SYSTEM_TIME AS OF TIMESTAMP"))


@pytest.mark.parametrize(
    "path",
    [
        "/buckets",
        "/buckets/data-1",
        "/buckets/data-1/a%20b.txt?file=1",
        "/tables?dataset=mnist",
        "/tables/mnist/mixed?tab=preview&start=118",
        "/tables/mnist/mixed?tab=details",
        "/tables/query?sql=SELECT%20@x",
    ],
)
def test_pages_fit_the_window_and_have_no_serious_barrier(console: Console, filled: Server, path: str):
    console.expects("status of 400")  # of a dry run without a type
    for scheme, width in (("light", 1440), ("dark", 390)):
        console.dress(scheme=scheme, width=width)
        console.open(path, until="main :is(table, .facts, textarea)")
        assert not console.overflows()
        assert console.accessibility() == []
