"""The explorer in a browser agrees with the package, by mouse, keyboard and file."""

import base64
import contextlib
import functools
import hashlib
import importlib.util
import itertools
import json
import re
import shutil
import statistics
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import torch
from helpers import EXAMPLES
from PIL import Image
from playwright.sync_api import expect, sync_playwright
from torch.testing import assert_close

import ccvae_pyro
from ccvae_pyro.data import Preprocessing, load_avatars, read_image

HERE = EXAMPLES.parent / "docs" / "explorer"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
OPTIONS += ["--disable-component-update", "--disable-sync"]
CLOSE = {"atol": 1e-3, "rtol": 0}

if CHROMIUM is None:
    pytest.skip("Chromium is not installed", allow_module_level=True)
if not (HERE / "node_modules").exists() and shutil.which("npm") is None:
    pytest.skip("npm is not installed", allow_module_level=True)

spec = importlib.util.spec_from_file_location("build_explorer", HERE / "build.py")
build_explorer = importlib.util.module_from_spec(spec)
spec.loader.exec_module(build_explorer)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def copyfile(self, source, outputfile):
        with contextlib.suppress(ConnectionError):  # of a page that was closed meanwhile
            super().copyfile(source, outputfile)


@pytest.fixture(scope="module")
def built(avatars_root, tmp_path_factory):
    """The pretrained model, its images, and the folder of the explorer."""
    torch.set_default_dtype(torch.float32)
    model, out = ccvae_pyro.load_pretrained("avatars"), tmp_path_factory.mktemp("site")
    x = build_explorer.avatar_faces(avatars_root)
    build_explorer.build(model, out / "explorer", x)
    return model, x, out


@pytest.fixture(scope="module")
def site(built):
    """The address of a static server of that folder."""
    serve = functools.partial(Quiet, directory=str(built[2]))
    with ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield browser
        browser.close()


def opened(browser, address, **context):
    """A page, once it has loaded, and the requests that it made."""
    page = browser.new_context(**context).new_page()
    page.requests = []
    page.on("request", lambda request: page.requests.append(request.url))
    page.goto(address)
    page.wait_for_function("window.explorer.then(() => true)")
    return page


@pytest.fixture(scope="module")
def shared(browser, site):
    return opened(browser, f"{site}/explorer/index.html")


@pytest.fixture
def page(shared):
    """The shared page, reset."""
    torch.set_default_dtype(torch.float32)
    shared.get_by_role("button", name="Reset all").click()
    expect(shared.get_by_role("status")).to_contain_text("All reset")
    return shared


def computed(page, expression):
    """Images or latents that the page computes, as a tensor."""
    script = f"""async () => {{
        const {{ model, faces, state }} = await window.explorer;
        const [x, donors] = [faces.slice(0, 12).map((face) => face.image), []];
        x.forEach((image, i) => donors.push(x[(i + 5) % x.length]));
        const rows = Array.from({expression});
        const blob = new Blob(rows.map((row) => Float32Array.from(row)));
        const bytes = new Uint8Array(await blob.arrayBuffer());
        let text = "";
        bytes.forEach((byte) => (text += String.fromCharCode(byte)));
        return [rows.length, btoa(text)];
    }}"""
    num_rows, text = page.evaluate(script)
    values = np.frombuffer(base64.b64decode(text), dtype=np.float32)
    return torch.from_numpy(values.reshape(num_rows, -1).copy())


def shown(page):
    """The image that the page shows."""
    return computed(page, "[state.picture]").view(1, 3, 64, 64)


def said(page, sentence):
    expect(page.get_by_role("status")).to_contain_text(sentence)


# ---- Agreement with the package ----


def test_images_are_loaded_unchanged(page, built):
    assert_close(computed(page, "x"), built[1].flatten(1), atol=1e-6, rtol=0)


def test_predicts_the_probabilities_of_classify(page, built):
    model, x, _ = built
    read = computed(page, "await model.classify(x)")
    assert_close(read, ccvae_pyro.classify(model, x), **CLOSE)


@pytest.mark.parametrize(
    "targets", [{"Sunglasses": 1}, {"Wearing_Hat": 0}, {"Wearing_Hat": 1}, {"Beard": 1, "Afro": 1}]
)
def test_edits_as_the_library_does(page, built, targets):
    model, x, _ = built
    edited = computed(page, f"await model.edit(x, {json.dumps(targets)})")
    assert_close(edited, ccvae_pyro.edit(model, x, targets).flatten(1), **CLOSE)


@pytest.mark.parametrize("labels", [None, ["Wearing_Hat"], ["Blond_Hair", "Bald", "Beard"]])
def test_swaps_as_the_library_does(page, built, labels):
    model, x, _ = built
    swapped = computed(page, f"await model.swap(x, donors, {json.dumps(labels)} ?? undefined)")
    expected = ccvae_pyro.swap(model, x, x.roll(-5, 0), labels)
    assert_close(swapped, expected.flatten(1), **CLOSE)


@pytest.mark.parametrize(("labels", "num_steps"), [(["Bald"], 9), (["Afro", "Beard"], 3)])
def test_walks_as_the_library_does(page, built, labels, num_steps):
    model, x, _ = built
    walked = computed(page, f"await model.walk(x[0], {labels}, {num_steps})")
    expected = ccvae_pyro.walk(model, x[:1], labels, num_steps=num_steps)
    assert_close(walked, expected.flatten(0, -4).flatten(1), **CLOSE)


# ---- By mouse ----


def test_sunglasses_change_the_eyes_and_the_prediction(page, built):
    model, x, _ = built
    page.get_by_role("button", name="Sunglasses on").click()
    said(page, "Sunglasses turned on; the model now predicts Sunglasses (100 %).")
    edited = ccvae_pyro.edit(model, x[:1], "Sunglasses", 1)
    assert_close(shown(page), edited, **CLOSE)
    read = computed(page, "[state.predicted]")
    assert_close(read, ccvae_pyro.classify(model, edited), **CLOSE)
    changed = (shown(page) - ccvae_pyro.reconstruct(model, x[:1])).abs().mean((0, 1, 3))
    assert changed[20:36].sum() > 0.8 * changed.sum()


def test_the_difference_is_drawn_where_the_image_changed(page):
    page.get_by_role("button", name="Sunglasses on").click()
    said(page, "Sunglasses turned on")
    red, green, blue = drawn(page, "changed").astype(float).transpose(2, 0, 1)
    is_orange = (red - blue > 80) & (red > green)
    rows, _ = is_orange.nonzero()
    assert len(rows) > 50
    assert np.mean((rows >= 20) & (rows < 36)) > 0.95


def drawn(page, canvas):
    """The pixels of a canvas, shape ``(height, width, 3)``."""
    script = """(id) => {
        const canvas = document.getElementById(id), { width, height } = canvas;
        const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
        return [height, width, Array.from(data)];
    }"""
    height, width, data = page.evaluate(script, canvas)
    return np.array(data).reshape(height, width, 4)[..., :3]


def test_excluded_labels_are_turned_off_and_announced(page, built):
    model, x, _ = built
    page.get_by_role("button", name="Wearing Hat on").click()
    said(page, "Wearing Hat turned on; Blond Hair, Long Hair turned off; the model now predicts")
    said(page, "no longer Blond Hair")
    assert_close(shown(page), ccvae_pyro.edit(model, x[:1], "Wearing_Hat", 1), **CLOSE)
    assert (
        page.get_by_role("button", name="Wearing Hat on").get_attribute("aria-pressed") == "true"
    )


def test_one_slider_is_reset_and_the_others_stay(page, built):
    model, x, _ = built
    for name in ("Beard on", "Sunglasses on", "Reset Sunglasses"):
        page.get_by_role("button", name=name).click()
    said(page, "Sunglasses reset")
    assert_close(shown(page), ccvae_pyro.edit(model, x[:1], "Beard", 1), **CLOSE)


def test_takes_a_characteristic_from_the_donor_that_is_chosen(page, built):
    model, x, _ = built
    donors = page.get_by_role("radiogroup", name="From")
    donors.get_by_role("radio", name=re.compile("Image 6")).check(force=True)
    page.get_by_role("button", name="Wearing Hat , present").click()
    said(page, "Wearing Hat taken from Image 6, together with")
    assert_close(shown(page), ccvae_pyro.swap(model, x[:1], x[5:6], "Wearing_Hat"), **CLOSE)


def test_a_walk_shows_its_steps_and_goes_on_from_one(page, built):
    model, x, _ = built
    page.get_by_role("combobox", name="Along", exact=True).select_option("Beard")
    steps = page.get_by_role("button", name=re.compile("Continue from Beard at"))
    expect(steps).to_have_count(9)
    steps.last.press("Enter")
    said(page, "Beard at")
    walked = ccvae_pyro.walk(model, x[:1], "Beard")[:, -1]
    assert_close(shown(page), walked, **CLOSE)
    page.wait_for_timeout(400)  # until the steps are drawn again
    expect(steps.last).to_be_focused()
    page.get_by_role("combobox", name="and along").select_option("Afro")
    expect(page.get_by_role("button", name=re.compile("Beard at .*, Afro at"))).to_have_count(25)
    page.get_by_role("combobox", name="and along").select_option("")


def test_a_sampled_style_keeps_the_labels(page):
    before = computed(page, "[state.z]")
    page.locator("summary").click()
    page.get_by_role("button", name="Sample a random style").click()
    said(page, "New style sampled")
    after = computed(page, "[state.z]")
    assert_close(after[:, :18], before[:, :18], atol=0, rtol=0)
    assert (after[:, 18:] != before[:, 18:]).all()
    page.locator("summary").click()


# ---- By keyboard, by address, by file ----


def test_arrows_move_a_slider_that_tab_leads_to(page):
    page.evaluate("document.activeElement.blur(), scrollTo(0, 0)")
    before, slider = shown(page), page.get_by_role("slider", name="Beard")
    for _ in range(20):
        page.keyboard.press("Tab")
        if slider.evaluate("element => element === document.activeElement"):
            break
    expect(slider).to_be_focused()
    for _ in range(40):
        page.keyboard.press("ArrowRight")
    said(page, "Beard moved to")
    expect(slider).to_have_attribute(
        "aria-valuetext", re.compile(r"Beard: [\d.]+, predicted probability \d+ %")
    )
    assert (shown(page) - before).abs().max() > 0.2


def test_the_address_restores_the_image(page, browser):
    page.get_by_role("button", name="Sunglasses on").click()
    said(page, "Sunglasses turned on")
    again = opened(browser, page.url)
    said(again, "Restored from the address; the model now predicts Sunglasses")
    assert_close(shown(again), shown(page), atol=2e-3, rtol=0)
    assert (
        again.get_by_role("link", name="Documentation").get_attribute("href") == "../explorer.html"
    )
    again.context.close()


def test_an_address_without_prefixes_is_restored(page, site, browser):
    page.get_by_role("button", name="Sunglasses on").click()
    said(page, "Sunglasses turned on")
    assert "label-Sunglasses=" in page.url
    again = opened(browser, page.url.replace("label-Sunglasses", "Sunglasses"))
    assert_close(shown(again), shown(page), atol=2e-3, rtol=0)
    again.context.close()


@pytest.fixture
def photo(avatars_root, tmp_path):
    """Another avatar in a larger image that is not square."""
    image = load_avatars(avatars_root, 120).images[17]
    large = Image.fromarray(image).resize((300, 300), Image.Resampling.BICUBIC)
    wide = Image.new("RGB", (420, 300), "white")
    wide.paste(large, (60, 0))
    wide.save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def chosen(page, path):
    page.get_by_label("Your own image").set_input_files(path)


def dropped(page, path):
    script = """(text) => {
        const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
        const transfer = new DataTransfer();
        transfer.items.add(new File([bytes], "photo.png", { type: "image/png" }));
        return transfer;
    }"""
    transfer = page.evaluate_handle(script, base64.b64encode(path.read_bytes()).decode())
    page.dispatch_event("main", "drop", {"dataTransfer": transfer})


@pytest.mark.parametrize("give", [chosen, dropped])
def test_an_image_file_is_encoded_as_by_the_package(page, built, photo, give):
    model = built[0]
    give(page, photo)
    said(page, "Your image: the model predicts")
    image = computed(page, "[state.face.image]").view(1, 3, 64, 64)
    # But for the edges, where Pillow looks beyond the square that it cuts.
    inner = (..., slice(1, -1), slice(1, -1))
    assert_close(image[inner], read_image(photo, model.preprocessing)[inner], atol=2 / 255, rtol=0)
    assert_close(shown(page), ccvae_pyro.reconstruct(model, image), **CLOSE)
    assert "#" not in page.url
    faces = page.get_by_role("radiogroup", name="Choose an image")
    faces.get_by_role("radio", name=re.compile("Image 1,")).check(force=True)
    said(page, "Image 1: the model predicts")


@pytest.mark.parametrize(
    "preprocessing",
    [
        Preprocessing(64, 3, "squash"),
        Preprocessing(64, 3, "pad"),
        Preprocessing(64, 3, "crop"),
        Preprocessing(64, 3, "pad", crop=120),
    ],
    ids=str,
)
def test_a_file_is_prepared_by_the_rule_of_the_model(page, photo, preprocessing):
    settings = {"resize": preprocessing.resize, "crop": preprocessing.crop}
    file = base64.b64encode(photo.read_bytes()).decode()
    script = """async ([text, settings]) => {
        const { readFile } = await import("./images.js");
        const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
        const file = new File([bytes], "photo.png", { type: "image/png" });
        return [...(await readFile(file, [3, 64, 64], settings))];
    }"""
    image = torch.tensor(page.evaluate(script, [file, settings])).view(1, 3, 64, 64)
    inner = (..., slice(1, -1), slice(1, -1))
    expected = read_image(photo, preprocessing)
    assert_close(image[inner], expected[inner].to(image), atol=2 / 255, rtol=0)


def test_a_file_that_is_no_image_is_an_error(page, tmp_path):
    (tmp_path / "notes.txt").write_text("no picture")
    before = shown(page)
    page.get_by_label("Your own image").set_input_files(tmp_path / "notes.txt")
    expect(page.locator("#file-error")).to_have_text(
        "notes.txt is not an image that this browser can read."
    )
    assert_close(shown(page), before, atol=0, rtol=0)


def test_a_page_opened_as_a_file_says_how_to_serve_it(browser, built):
    page = browser.new_page()
    page.goto((built[2] / "explorer" / "index.html").as_uri())
    expect(page.get_by_role("alert")).to_contain_text("python -m http.server")
    page.close()


def test_a_file_that_is_missing_is_named(browser, site):
    page = browser.new_page()
    page.route("**/decoder.onnx", lambda route: route.fulfill(status=404))
    page.goto(f"{site}/explorer/index.html")
    message = "decoder.onnx cannot be loaded: the server answers 404."
    expect(page.get_by_role("alert").first).to_contain_text(message)
    page.close()


# ---- For everyone ----


def test_the_policy_has_the_hash_of_the_script_in_the_page():
    text = (HERE / "index.html").read_text(encoding="utf-8")
    script = re.search("<script>(.*?)</script>", text, flags=re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in text


def test_what_is_not_part_of_the_page_is_refused(browser, site):
    page = opened(browser, f"{site}/explorer/index.html")
    page.evaluate("""() => {
        window.blocked = [];
        addEventListener("securitypolicyviolation", (e) => blocked.push(e.effectiveDirective));
        document.body.insertAdjacentHTML("beforeend", "<img src=x:y onerror='window.ran = true'>");
        const script = document.createElement("script");
        script.textContent = "window.ran = true";
        document.body.append(script);
        fetch("https://example.org/").catch(() => {});
    }""")
    expected = {"script-src-attr", "script-src-elem", "connect-src", "img-src"}
    page.wait_for_function("new Set(blocked).size >= 4")
    assert set(page.evaluate("blocked")) == expected
    assert page.evaluate("window.ran") is None
    page.context.close()


def test_a_page_without_violations_has_loaded(browser, site):
    page, said_to_console = browser.new_page(), []
    page.on("console", lambda message: said_to_console.append(message.text))
    page.goto(f"{site}/explorer/index.html")
    page.wait_for_function("window.explorer.then(() => true)")
    assert said_to_console == []
    page.close()


def test_no_request_goes_to_another_host(page, site):
    asked = [url for url in page.requests if not url.startswith("data:")]
    assert {"ort.wasm", "encoder.onnx", "faces.png"} <= {url.split("/")[-1] for url in asked}
    assert [url for url in asked if not url.startswith(f"{site}/explorer/")] == []


def test_every_control_has_a_name_and_every_part_a_heading(page):
    page.locator("details").evaluate("element => element.open = true")
    tree = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    roles = {"button", "slider", "radio", "combobox", "link", "img", "image"}
    nodes = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in tree]
    controls = [(role, name) for role, name in nodes if role in roles]
    assert len([role for role, _ in controls if role == "slider"]) == 45
    assert [role for role, name in controls if not name.strip()] == []
    names = [name for role, name in controls if role in ("slider", "combobox")]
    assert len(set(names)) == len(names)
    assert {"banner", "main", "contentinfo", "status"} <= {role for role, _ in nodes}
    levels = page.locator("h1, h2, h3").evaluate_all("all => all.map((e) => Number(e.tagName[1]))")
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    page.locator("details").evaluate("element => element.open = false")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_enough_contrast(page, scheme):
    page.emulate_media(color_scheme=scheme)
    page.wait_for_timeout(200)
    faint = page.evaluate(FAINT_TEXT)
    page.emulate_media(color_scheme="light")
    assert faint == []


# Texts with a contrast below 4.5, the limit of WCAG's level AA.
FAINT_TEXT = """() => {
    const parts = (color) => color.match(/[\\d.]+/g).map(Number);
    const linear = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    const light = (color) => parts(color).slice(0, 3).map((v) => linear(v / 255))
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const behind = (element) => {
        for (let at = element; at; at = at.parentElement) {
            const color = getComputedStyle(at).backgroundColor;
            if ((parts(color)[3] ?? 1) > 0) return color;
        }
    };
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const faint = [];
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
        const element = node.parentElement;
        if (!node.textContent.trim() || !element.checkVisibility()) continue;
        const both = [getComputedStyle(element).color, behind(element)].map(light);
        const contrast = (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
        if (contrast < 4.5) faint.push([node.textContent, contrast]);
    }
    return faint;
}"""


def test_fits_a_phone_with_the_picture_in_sight(page):
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    page.get_by_role("slider", name="Wearing Headscarf").focus()
    box = page.locator("#picture").bounding_box()
    assert 0 <= box["y"] < 40
    assert box["width"] > 120
    below = page.get_by_role("slider", name="Wearing Headscarf").bounding_box()
    assert below["y"] > page.locator(".stage").bounding_box()["height"]
    page.set_viewport_size({"width": 1280, "height": 900})


@pytest.mark.benchmark(group="an edit in the explorer: click, networks, image, status")
def test_an_edit(benchmark, page):
    sides = itertools.cycle([("on", "Beard turned on"), ("off", "Beard turned off")])

    def edit():
        side, sentence = next(sides)
        page.get_by_role("button", name=f"Beard {side}").click()
        said(page, sentence)

    page.evaluate("performance.clearMeasures()")
    benchmark.pedantic(edit, rounds=20)
    took = page.evaluate("performance.getEntriesByName('edit').map((entry) => entry.duration)")
    benchmark.extra_info["milliseconds_in_the_page"] = statistics.median(took)


# ---- Other models ----


def test_is_built_from_a_checkpoint_and_a_folder_of_images(browser, tmp_path, capsys):
    torch.set_default_dtype(torch.float32)
    model = ccvae_pyro.mnist(2, 5, label_names=["Round", "Tall"], convolutions=False)
    ccvae_pyro.save(tmp_path / "digits.pt", model)
    (tmp_path / "images").mkdir()
    pixels = np.random.default_rng(0).integers(256, size=(3, 40, 50), dtype=np.uint8)
    for i, image in enumerate(pixels):
        Image.fromarray(image).save(tmp_path / "images" / f"{i}.png")
    arguments = [tmp_path / "digits.pt", tmp_path / "out", "--images", tmp_path / "images"]
    build_explorer.main([str(argument) for argument in arguments])
    assert f"http.server --directory {tmp_path / 'out'}" in capsys.readouterr().out
    serve = functools.partial(Quiet, directory=str(tmp_path / "out"))
    with ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = opened(browser, f"http://127.0.0.1:{server.server_port}/index.html")
        x = torch.cat(
            [
                read_image(path, Preprocessing(28, 1))
                for path in sorted((tmp_path / "images").iterdir())
            ]
        )
        edited = computed(page, "await model.edit(x, { Tall: 1 })")
        assert_close(edited, ccvae_pyro.edit(model, x, "Tall", 1).flatten(1), **CLOSE)
        assert page.get_by_role("slider").count() == 2
        assert not page.get_by_role("link", name="Documentation").is_visible()
        page.context.close()
        server.shutdown()


NAMES = ["picture", "style-1", "a,b", "<script>window.ran = true</script>", "\"'&$5 $", "x" * 300]


def test_labels_may_have_any_name(browser, tmp_path):
    torch.set_default_dtype(torch.float32)
    model = ccvae_pyro.mnist(len(NAMES), 12, label_names=NAMES, convolutions=False)
    build_explorer.build(model, tmp_path / "out", torch.rand(2, 1, 28, 28), home=None)
    serve = functools.partial(Quiet, directory=str(tmp_path / "out"))
    with ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = opened(browser, f"http://127.0.0.1:{server.server_port}/index.html")
        for name in NAMES[:2]:
            page.get_by_role("button", name=f"{name} on", exact=True).click()
            said(page, f"{name} turned on")
        page.locator("#draw-style").evaluate("button => button.click()")
        said(page, "New style sampled")
        again = opened(browser, page.url)
        said(again, "Restored from the address")
        latents = [computed(each, "[state.z]") for each in (page, again)]
        assert_close(latents[1], latents[0], atol=1e-3, rtol=1e-3)
        assert again.evaluate("window.ran") is None
        assert again.get_by_text(NAMES[3], exact=True).count() > 0
        assert again.evaluate("document.documentElement.scrollWidth <= innerWidth")
        for each in (page, again):
            each.context.close()
        server.shutdown()


def test_an_error_of_the_user_is_one_line(tmp_path, capsys):
    with pytest.raises(SystemExit):
        build_explorer.main([str(tmp_path / "none.pt"), str(tmp_path / "out")])
    assert "error: there is no checkpoint at" in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "out").exists()


def test_images_of_another_shape_are_an_error(built, tmp_path, monkeypatch):
    monkeypatch.setattr(build_explorer, "export_onnx", lambda model, out: written(out))

    def written(out):
        out.mkdir()
        (out / "model.json").write_text('{"image": [3, 64, 64]}')

    with pytest.raises(ValueError, match=r"images of shape \[3, 64, 64\], got \[1, 28, 28\]"):
        build_explorer.build(built[0], tmp_path / "out", torch.rand(2, 1, 28, 28))


def test_a_missing_npm_is_an_error(tmp_path, monkeypatch):
    shutil.copyfile(HERE / "package.json", tmp_path / "package.json")
    monkeypatch.setattr(build_explorer, "HERE", tmp_path)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(RuntimeError, match=r"npm, which downloads .*, is not installed"):
        build_explorer.fetched_runtime()


def test_a_folder_without_images_is_an_error(built, tmp_path):
    with pytest.raises(ValueError, match="there is no image in"):
        build_explorer.faces_of(tmp_path, built[0])
