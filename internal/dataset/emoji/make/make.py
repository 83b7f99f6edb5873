"""Makes ../emoji.zip, the embedded data set, from the emoji pictures of three npm packages.

    npm pack emoji-datasource-google@16.0.0 emoji-datasource-twitter@16.0.0 @lobehub/fluent-emoji-3d@1.1.0
    (unpack each into its own folder)
    python3 make.py --noto DIR --twemoji DIR --fluent DIR --out ../emoji.zip

The folders are those that hold package.json. Needs Pillow; made with Pillow 13.0.0 (libwebp 1.6).
The same Pillow gives the same bytes; --check compares with an existing archive instead of writing.

Eight classes of 21 objects, each object in all three drawing styles:

* noto and twemoji: the 64 px PNG files of the packages, byte for byte;
* fluent: the 256 px WebP files, resized to 64 px (Lanczos on premultiplied alpha) and saved as
  lossless WebP.

Objects are single drawings: no skin tones, one code point each (the black bird, a sequence of two,
is the one exception: there are only 20 bird objects otherwise), and one drawing per thing where
Unicode has several (the whole horse, not also the horse's head).

The archive is a zip with fixed dates: index.csv first, deflated, then the pictures, stored, in the
order of the index: class by class, object by object, style by style.
"""

import argparse
import csv
import hashlib
import io
import json
import pathlib
import sys
import zipfile

from PIL import Image

VERSIONS = {
    "noto": ("emoji-datasource-google", "16.0.0"),
    "twemoji": ("emoji-datasource-twitter", "16.0.0"),
    "fluent": ("@lobehub/fluent-emoji-3d", "1.1.0"),
}

# Class → the emoji.json sub-categories it may draw from, and its 21 objects by their short names.
CLASSES = {
    "mammal": (
        {"animal-mammal"},
        "monkey gorilla orangutan dog2 cat2 tiger2 leopard racehorse bison cow2 pig2 sheep"
        " dromedary_camel llama giraffe_face elephant rhinoceros mouse2 rabbit2 hedgehog kangaroo",
    ),
    "bird": (
        {"animal-bird"},
        "turkey chicken rooster hatching_chick baby_chick hatched_chick bird penguin dove_of_peace"
        " eagle duck swan owl dodo flamingo peacock parrot goose black_bird feather wing",
    ),
    "fruit or vegetable": (
        {"food-fruit", "food-vegetable"},
        "grapes melon watermelon tangerine lemon banana pineapple mango apple pear peach cherries"
        " strawberry kiwifruit tomato avocado eggplant carrot corn bell_pepper broccoli",
    ),
    "clothing": (
        {"clothing"},
        "lab_coat necktie shirt jeans scarf gloves coat socks dress kimono sari one-piece_swimsuit"
        " shorts womans_clothes mans_shoe athletic_shoe high_heel boot womans_hat tophat billed_cap",
    ),
    "vehicle": (
        {"transport-ground", "transport-water", "transport-air"},
        "steam_locomotive bullettrain_side tram bus ambulance fire_engine police_car taxi car"
        " pickup_truck articulated_lorry tractor racing_car racing_motorcycle motor_scooter"
        " auto_rickshaw bike boat ship airplane helicopter",
    ),
    "building": (
        {"place-building", "place-religious"},
        "stadium classical_building hut house_buildings derelict_house_building house office"
        " post_office hospital bank hotel convenience_store school department_store factory"
        " japanese_castle european_castle wedding church mosque synagogue",
    ),
    "face": (
        {"face-smiling", "face-affection", "face-tongue", "face-hand", "face-neutral-skeptical",
         "face-sleepy", "face-unwell", "face-hat", "face-glasses", "face-concerned",
         "face-negative"},
        "grinning joy innocent heart_eyes star-struck kissing_heart zany_face thinking_face"
        " zipper_mouth_face neutral_face sleeping mask face_with_thermometer hot_face"
        " face_with_cowboy_hat partying_face sunglasses nerd_face open_mouth sob rage",
    ),
    "clock": (
        {"time"},
        "watch alarm_clock stopwatch timer_clock mantelpiece_clock clock12 clock1 clock130 clock2"
        " clock3 clock4 clock430 clock5 clock6 clock7 clock730 clock8 clock9 clock10 clock1030"
        " clock11",
    ),
}

# Words that Unicode's names spell without their apostrophe.
APOSTROPHES = {"mans": "man's", "womans": "woman's", "oclock": "o'clock"}

SIDE = 64


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for domain in VERSIONS:
        arguments.add_argument("--" + domain, type=pathlib.Path, required=True)
    arguments.add_argument("--out", type=pathlib.Path, required=True)
    arguments.add_argument("--check", action="store_true", help="compare with --out, write nothing")
    options = vars(arguments.parse_args())

    folders = {domain: options[domain] for domain in VERSIONS}
    for domain, folder in folders.items():
        check_version(domain, folder)
    archive = pack(pictures(folders))
    if options["check"]:
        if options["out"].read_bytes() != archive:
            sys.exit(f"{options['out']} differs from what these packages give")
        return
    options["out"].write_bytes(archive)
    print(f"{options['out']}: {len(archive)} bytes, sha256 {hashlib.sha256(archive).hexdigest()}")


def check_version(domain, folder):
    package = json.loads((folder / "package.json").read_text())
    if (package["name"], package["version"]) != VERSIONS[domain]:
        sys.exit(f"{folder}: want {VERSIONS[domain]}, got {package['name']} {package['version']}")


def pictures(folders):
    """Yields one (index row, file bytes) a picture, in the order of the archive."""
    emoji = {e["short_name"]: e for e in json.loads((folders["noto"] / "emoji.json").read_text())}
    fluent = {code_points(path.stem): path for path in (folders["fluent"] / "assets").glob("*.webp")}
    for label, (subcategories, names) in CLASSES.items():
        names = names.split()
        if len(names) != 21 or len(set(names)) != 21:
            sys.exit(f"{label}: {len(set(names))} objects, not 21")
        for name in names:
            entry = emoji[name]
            if entry["subcategory"] not in subcategories:
                sys.exit(f"{name} is of {entry['subcategory']}, not of {label}")
            thing = code_points(entry["unified"])
            files = {
                "noto": (folders["noto"] / "img/google/64" / entry["image"]).read_bytes(),
                "twemoji": (folders["twemoji"] / "img/twitter/64" / entry["image"]).read_bytes(),
                "fluent": shrink(fluent[thing]),
            }
            for domain, data in files.items():
                with Image.open(io.BytesIO(data)) as picture:
                    if picture.size != (SIDE, SIDE):
                        sys.exit(f"{domain} {name}: {picture.size}")
                    suffix = picture.format.lower()
                yield {
                    "id": f"{domain}/{thing}",
                    "path": f"{domain}/{thing}.{suffix}",
                    "label": label,
                    "object": thing,
                    "domain": domain,
                    "caption": caption(entry["name"]),
                    "sha256": hashlib.sha256(data).hexdigest(),
                }, data


def code_points(name):
    """The hexadecimal code points of an emoji without its presentation selectors: 2708-FE0F → 2708."""
    return name.lower().replace("_", "-").replace("-fe0f", "")


def caption(name):
    """Unicode's name in plain words: CLOCK FACE ONE OCLOCK → clock face one o'clock."""
    return " ".join(APOSTROPHES.get(word, word) for word in name.lower().split())


def shrink(path):
    with Image.open(path) as picture:
        # Pillow premultiplies alpha around the resize of an RGBA picture.
        small = picture.convert("RGBA").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    small.save(out, "WEBP", lossless=True, quality=100, method=6, exact=False)
    return out.getvalue()


def pack(rows):
    rows = list(rows)
    index = io.StringIO()
    table = csv.DictWriter(index, rows[0][0].keys(), lineterminator="\n")
    table.writeheader()
    table.writerows(row for row, _ in rows)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for path, data in [("index.csv", index.getvalue().encode())] + [(r["path"], d) for r, d in rows]:
            info = zipfile.ZipInfo(path, date_time=(1980, 1, 1, 0, 0, 0))
            info.create_system = 3
            info.external_attr = 0o644 << 16
            info.compress_type = zipfile.ZIP_DEFLATED if path == "index.csv" else zipfile.ZIP_STORED
            archive.writestr(info, data)
    return out.getvalue()


if __name__ == "__main__":
    main()
