"""What goes along with the chart: generated files, guide, image, certificates."""

import json
import pathlib
import re
import shlex
import shutil
import ssl
import socket
import subprocess
import tempfile
import unittest

import yaml
from helm_python import _native
from helm_python.chart import values_from_yaml

import clouds
import documents
import engine
import generate
from engine import CHART, ROOT

# Of the package: `version`, `rust-version` and the like.
CARGO = dict(
    re.findall(r'^([a-z-]+) = "(.*)"$', (ROOT / "Cargo.toml").read_text().split("[dep")[0], re.M)
)


class Generated(unittest.TestCase):
    def test_files_are_those_of_todays_values(self):
        """`make docs` writes them."""
        self.assertEqual((CHART / "values.schema.json").read_text(), generate.make_schema())
        self.assertEqual((CHART / "README.md").read_text(), generate.make_readme())

    def test_pages_of_clouds_have_todays_presets(self):
        """`make docs` writes them."""
        for name in clouds.PAGES:
            self.assertEqual(clouds.page(name).read_text(), clouds.make_page(name), name)

    def test_every_value_is_explained(self):
        text = (CHART / "values.yaml").read_text()
        explained = generate.comments(text)
        for path, _ in generate.values(yaml.safe_load(text), explained):
            self.assertIn(path, explained)

    def test_readme_values_and_schema_say_the_same(self):
        """Read for itself, and not with the functions that write them."""
        text = (CHART / "values.yaml").read_text()
        defaults = yaml.safe_load(text)
        schema = json.loads((CHART / "values.schema.json").read_text())
        rows = re.findall(r"^\| `(\S+)` \| `(.*?)` \| (.*) \|$", (CHART / "README.md").read_text(), re.MULTILINE)
        self.assertGreater(len(rows), 100)
        for path, shown, meaning in rows:
            with self.subTest(path):
                default, node = defaults, schema
                for key in path.split("."):
                    default, node = default[key], node["properties"][key]
                self.assertEqual(node["description"], meaning)
                self.assertIn(f"# {meaning}\n", text)
                if path != "config":
                    self.assertEqual(json.loads(shown), default)
                    self.assertEqual(node["default"], default)
        explained = {path for path, _, _ in rows}

        def leaves(node, path):
            for key, part in node["properties"].items():
                here = [*path, key]
                is_group = "properties" in part and "description" not in part
                yield from leaves(part, here) if is_group else [".".join(here)]

        self.assertEqual(set(leaves(schema, [])), explained)

    def test_nothing_of_the_schema_is_left_open(self):
        free = {
            "podSecurityContext", "securityContext", "podAffinity", "podAntiAffinity", "global", "volume",
        }

        def look(schema, path):
            if isinstance(schema, list):
                for item in schema:
                    look(item, path)
            elif isinstance(schema, dict):
                if schema.get("type") == "object" and "items" not in path:
                    self.assertTrue("additionalProperties" in schema or path[-1] in free, path)
                for key, value in schema.items():
                    look(value, [*path, key])

        look(json.loads((CHART / "values.schema.json").read_text()), [])

    def test_versions_are_that_of_the_crate(self):
        chart = engine.chart().metadata
        self.assertEqual((chart["version"], chart["appVersion"]), (CARGO["version"],) * 2)
        self.assertIn(f"ARG VERSION={CARGO['version']}\n", (ROOT / "Dockerfile").read_text())
        guide = (ROOT / "docs/install.md").read_text()
        self.assertEqual(set(re.findall(r"poolguard:(\d\S+)", guide)), {CARGO["version"]})

    def test_metadata_has_what_artifact_hub_shows(self):
        chart = engine.chart().metadata
        self.assertEqual(chart["annotations"]["artifacthub.io/license"], CARGO["license"])
        links = yaml.safe_load(chart["annotations"]["artifacthub.io/links"])
        raw = chart["home"].replace("github.com", "raw.githubusercontent.com") + "/main/"
        self.assertTrue((ROOT / chart["icon"].removeprefix(raw)).is_file(), chart["icon"])
        for url in [*chart["sources"], *[it["url"] for it in links]]:
            path = url.removeprefix(chart["home"]).removeprefix("/blob/main/")
            self.assertTrue((ROOT / path).exists(), url)
        self.assertTrue(all(it["url"].startswith("https://") for it in chart["maintainers"]))

    def test_links_of_its_readme_work_outside_the_repository(self):
        for target in re.findall(r"\]\(([^)]+)\)", (CHART / "README.md").read_text()):
            self.assertTrue(target.startswith("https://"), target)


def blocks(page, language):
    """(line above, text) of each block of a language."""
    return [(it.above, it.text) for it in documents.blocks(page) if it.language == language]


PAGES = [
    *[ROOT / "docs/install.md", ROOT / "docs/releasing.md", ROOT / "README.md"],
    *[CHART / "README.md", ROOT / "certs/README.md"],
]


class Guide(unittest.TestCase):
    def test_its_values_are_sets_that_are_rendered(self):
        known = set(yaml.safe_load((CHART / "values.yaml").read_text()))
        found = 0
        for page in PAGES:
            for above, text in blocks(page, "yaml"):
                if above.startswith("<!-- tests/chart/values/"):
                    found += 1
                else:
                    self.assertTrue(set(yaml.safe_load(text)) - known, f"{page}: {text}")
        self.assertGreater(found, 5)

    def test_its_commands_have_values_that_exist(self):
        for page in PAGES:
            for _, text in blocks(page, "sh"):
                for line in text.splitlines():
                    if not line.startswith(("helm install", "helm upgrade")):
                        continue
                    words = shlex.split(line)
                    self.assertTrue((ROOT / words[3] / "Chart.yaml").exists(), line)
                    values = {}
                    for flag, value in zip(words, words[1:]):
                        if flag == "--set":
                            parsed = _native.call_string("helm_strvals_parse", value)
                            values = engine.merged(values, json.loads(parsed))
                    self.assertEqual(engine.refusal(values), "", line)

    def test_a_config_becomes_values_as_it_says(self):
        command = next(
            line
            for _, text in blocks(ROOT / "docs/install.md", "sh")
            for line in text.splitlines()
            if line.startswith("{ echo")
        )
        for example in sorted((ROOT / "examples").glob("*.yaml")):
            with self.subTest(example.name), tempfile.TemporaryDirectory() as folder:
                shutil.copy(example, f"{folder}/config.yaml")
                subprocess.run(["sh", "-euc", command], cwd=folder, check=True)
                values = values_from_yaml(pathlib.Path(f"{folder}/config-values.yaml").read_text())
                self.assertEqual(engine.refusal(values), "")
                self.assertEqual(values, {"config": yaml.safe_load(example.read_text())})


def stages():
    """The instructions of each stage of the Dockerfile."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line and line[0] != "#"]
    found = []
    for word, rest in lines:
        if word == "FROM":
            found.append([])
        found[-1].append((word, rest.split()))
    return found


class Image(unittest.TestCase):
    def test_bases_are_named_by_a_tag(self):
        for stage in stages():
            image = stage[0][1][0]
            self.assertRegex(image, r"^[^@]+:[^@]+$")
            self.assertNotIn(":latest", image)

    def test_it_is_built_with_the_compiler_of_the_crate(self):
        self.assertIn(f"rust:{CARGO['rust-version']}-", stages()[0][0][1][0])

    def test_it_is_built_from_the_lock_file(self):
        run = next(words for word, words in stages()[0] if word == "RUN")
        self.assertIn("--locked", run)
        self.assertIn("--release", run)

    def test_what_is_copied_is_there_and_nothing_else_is_sent(self):
        copied = set()
        for word, words in stages()[0]:
            if word == "COPY":
                copied.update(words[:-1])
        for path in copied:
            self.assertTrue((ROOT / path).exists(), path)
        lines = (ROOT / ".dockerignore").read_text().splitlines()
        sent = {line[1:] for line in lines if line.startswith("!")}
        self.assertIn("*", lines)
        self.assertEqual(copied, sent)

    def test_it_has_no_shell_and_no_root(self):
        *_, last = stages()
        self.assertIn("distroless/static", last[0][1][0])
        instructions = dict(last)
        # The kubelet checks `runAsNonRoot` against this user, and cannot look up a name.
        self.assertRegex(instructions["USER"][0], r"^[1-9][0-9]*:[1-9][0-9]*$")
        self.assertIn(instructions["USER"][0].split(":")[0], (CHART / "values.yaml").read_text())
        self.assertNotIn("RUN", instructions)
        self.assertTrue(instructions["ENTRYPOINT"][0].startswith("["))
        # The binary is static, for there is nothing to link with.
        flags = " ".join(" ".join(words) for word, words in stages()[0] if word == "ENV")
        self.assertIn("+crt-static", flags)

    def test_the_chart_starts_it_with_a_command(self):
        self.assertEqual(engine.container(engine.objects("defaults"))["args"][0], "serve")

    def test_ports_are_those_of_the_chart(self):
        exposed = dict(stages()[-1])["EXPOSE"]
        ports = engine.container(engine.objects("defaults"))["ports"]
        self.assertEqual(exposed, [str(it["containerPort"]) for it in ports])


class Certificates(unittest.TestCase):
    def test_manifests_are_what_the_chart_makes(self):
        rendered = engine.rendered("cert-manager")["certificate.yaml"]
        expected = list(yaml.safe_load_all(rendered))
        for thing in expected:
            del thing["metadata"]["labels"]
        text = (ROOT / "certs/cert-manager.yaml").read_text()
        self.assertEqual(list(yaml.safe_load_all(text)), expected)

    def test_certificates_are_for_the_service(self):
        for name in ["cert-manager", "cert-manager-issuer"]:
            found = engine.objects(name)
            certificate = engine.only(found, "Certificate", "poolguard")
            flags = engine.container(found)["args"]
            service = next(it.split("=")[1] for it in flags if it.startswith("--service="))
            self.assertIn(f"{service}.{engine.NAMESPACE}.svc", certificate["spec"]["dnsNames"])
            volumes = engine.only(found, "Deployment")["spec"]["template"]["spec"]["volumes"]
            names = [it["secret"]["secretName"] for it in volumes if "secret" in it]
            self.assertEqual(names, [certificate["spec"]["secretName"]])

    @unittest.skipUnless(shutil.which("openssl"), "openssl is not installed")
    def test_those_of_a_laptop_are_served(self):
        with tempfile.TemporaryDirectory() as folder:
            script = ROOT / "certs/make-dev-certs.sh"
            subprocess.run(["sh", script, folder], check=True, capture_output=True)
            with self.serve(folder) as port:
                context = ssl.create_default_context(cafile=f"{folder}/ca.crt")
                with socket.create_connection(("127.0.0.1", port), 10) as plain:
                    with context.wrap_socket(plain, server_hostname="localhost") as secure:
                        self.assertIn(secure.version(), ["TLSv1.2", "TLSv1.3"])

    def serve(self, folder):
        return Served(folder)


class Served:
    """`poolguard serve` on a port of its own."""

    def __init__(self, folder):
        data = ROOT / "tests/data"
        self.arguments = [
            *["serve", "--log-format=json", "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0"],
            *["--config", data / "config.yaml", "--cluster", data / "cluster.json"],
            *["--tls-cert", f"{folder}/tls.crt", "--tls-key", f"{folder}/tls.key"],
        ]

    def __enter__(self):
        self.process = engine.start(*self.arguments)
        for line in self.process.stderr:
            found = re.search(r"https://127\.0\.0\.1:(\d+)|127\.0\.0\.1:(\d+)", line)
            if found:
                return int(found[1] or found[2])
        raise AssertionError("it does not say where it listens")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.communicate(timeout=20)


if __name__ == "__main__":
    unittest.main()
