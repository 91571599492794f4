//! `check -o html`: the page as a browser shows it.
//!
//! Chromium is Debian's; where there is none, what needs it says so and is skipped.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    check::{dump, intruder},
    run_on,
};
use crate::scenario::node;

/// A phone and a desk.
const SIZES: [(u32, u32); 2] = [(390, 844), (1280, 900)];

/// A cold browser on a busy machine takes its time.
const PATIENCE: Duration = Duration::from_secs(90);

const BROWSERS: [&str; 2] = ["/usr/bin/chromium", "/usr/bin/chromium-browser"];

#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn chromium() -> Option<&'static str> {
    let found = BROWSERS.into_iter().find(|path| Path::new(path).exists());
    if found.is_none() {
        eprintln!("skipped: there is no chromium, which Debian's package `chromium` has");
    }
    found
}

/// Text that would do something if it were not escaped.
const HOSTILE: &str = "<img src=x onerror=alert(1)>\"'&";

/// A cluster in which everything that is drawn differs is there.
fn cluster() -> String {
    dump(|items| {
        let down = node(items, "ip-10-0-3-3b.ec2.internal");
        down["status"]["conditions"] = json!([{"type": "Ready", "status": "Unknown"}]);
        node(items, "ip-10-0-3-3a.ec2.internal")["spec"]["unschedulable"] = json!(true);
        node(items, "ip-10-0-2-21.ec2.internal")["spec"]["taints"] = json!([]);
        let labels = &mut node(items, "ip-10-0-3-3c.ec2.internal")["metadata"]["labels"];
        labels["node.kubernetes.io/instance-type"] = json!(HOSTILE);
        items.push(intruder());
        let mut broker = intruder();
        broker["metadata"] = json!({"namespace": "automq-instance-3", "name": "broker-0"});
        broker["spec"]["nodeName"] = json!("ip-10-0-3-3c.ec2.internal");
        items.push(broker);
    })
}

fn page_of(dump: &str) -> String {
    let input = ["check", "--config", "config.yaml", "--cluster", "-", "-o", "html"];
    let said = run_on(dump, &input);
    assert_eq!((said.code, said.err.as_str()), (1, ""));
    said.out
}

#[test]
fn the_page_stands_alone_and_all_its_text_is_escaped() {
    let page = page_of(&cluster());
    let lower = page.to_lowercase();
    for word in ["<script", "<link", "<img", "src=", "url(", "@import", "http://", "https://"] {
        let is_text = |before: &str| before.ends_with("&lt;img ");
        let at = lower.match_indices(word).find(|(at, _)| !is_text(&lower[..*at]));
        assert!(at.is_none(), "{word}: {at:?}");
    }
    assert!(page.contains("&lt;img src=x onerror=alert(1)&gt;&quot;'&amp;"), "{page}");
    assert!(page.contains("default-src 'none'"), "{page}");
    for href in page.split("href=\"").skip(1) {
        let target = href.strip_prefix('#').unwrap().split('"').next().unwrap();
        assert!(page.contains(&format!("id=\"{target}\"")), "{target} leads nowhere");
    }
    // Every element that is opened is closed.
    for element in ["main", "section", "div", "ul", "li", "p", "pre", "details", "span", "b"] {
        let opened = page.matches(&format!("<{element}>")).count()
            + page.matches(&format!("<{element} ")).count();
        assert_eq!(opened, page.matches(&format!("</{element}>")).count(), "{element}");
    }
}

/// A browser with a profile of its own, which ends with the test.
struct Browser {
    path: &'static str,
    folder: TempDir,
}

impl Browser {
    fn open(path: &'static str, page: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("page.html"), page).unwrap();
        Self { path, folder }
    }

    /// What it writes to standard output.
    fn run(&self, page: &str, arguments: &[String]) -> String {
        let folder = self.folder.path();
        let out = fs::File::create(folder.join("out")).unwrap();
        let mut child = Command::new(self.path)
            .args([
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--hide-scrollbars",
                "--allow-file-access-from-files",
            ])
            .arg(format!("--user-data-dir={}", folder.join("profile").display()))
            .args(arguments)
            .arg(format!("file://{}", folder.join(page).display()))
            .env("HOME", folder)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let started = Instant::now();
        while child.try_wait().unwrap().is_none() {
            if started.elapsed() > PATIENCE {
                drop(child.kill());
                drop(child.wait());
                panic!("the browser does not end");
            }
            thread::sleep(Duration::from_millis(50));
        }
        fs::read_to_string(folder.join("out")).unwrap()
    }

    fn screenshot(&self, (width, height): (u32, u32)) -> PathBuf {
        let file = self.folder.path().join(format!("{width}.png"));
        let arguments =
            [format!("--screenshot={}", file.display()), format!("--window-size={width},{height}")];
        self.run("page.html", &arguments);
        file
    }
}

/// Measures the page in a frame of this size: its own policy lets nothing run in it.
fn ruler((width, height): (u32, u32)) -> String {
    format!(
        r#"<!DOCTYPE html><iframe id="frame" src="page.html" style="border:0;width:{width}px;height:{height}px"></iframe>
<script>
window.addEventListener("load", () => {{
  const page = document.getElementById("frame").contentDocument;
  const box = (element) => element.getBoundingClientRect();
  const all = (selector) => [...page.querySelectorAll(selector)];
  const zones = all(".zones")[2];
  const measured = {{
    wide: page.documentElement.scrollWidth,
    outside: all("main *").filter((it) => box(it).width > 0 && box(it).right > {width} + 1).length,
    small: all("nav a, summary").filter((it) => box(it).height < 43).length,
    beside: box(zones.nextElementSibling).left > box(zones).right,
    nodes: all(".node").map((it) => [it.querySelector("b").textContent, it.className]),
    intruders: all(".intruder").map((it) => it.textContent),
    text: page.body.innerText,
    verdict: getComputedStyle(page.querySelector(".verdict")).color,
    images: page.images.length,
  }};
  document.body.innerHTML = "";
  document.title = JSON.stringify(measured);
}});
</script>"#
    )
}

fn measured(browser: &Browser, size: (u32, u32)) -> Value {
    fs::write(browser.folder.path().join("ruler.html"), ruler(size)).unwrap();
    let arguments = ["--dump-dom".to_owned(), "--virtual-time-budget=10000".to_owned()];
    let dom = browser.run("ruler.html", &arguments);
    let title = dom.split("<title>").nth(1).and_then(|it| it.split("</title>").next());
    let title = title.unwrap_or_else(|| panic!("nothing was measured: {dom}"));
    let text = title.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    serde_json::from_str(&text).unwrap()
}

#[test]
fn a_browser_draws_it_on_a_phone_and_on_a_desk() {
    let Some(path) = chromium() else { return };
    let browser = Browser::open(path, &page_of(&cluster()));
    for size in SIZES {
        let (width, _) = size;
        let found = measured(&browser, size);
        assert!(found["wide"].as_u64().unwrap() <= u64::from(width), "{width}: {found}");
        assert_eq!((&found["outside"], &found["small"]), (&json!(0), &json!(0)), "{width}");
        assert_eq!(found["beside"], json!(width > 1000), "{width}");
        assert_eq!(found["intruders"], json!(["shop/web-0"]));
        assert_eq!(found["images"], 0);
        assert_eq!(found["verdict"], "rgb(179, 38, 30)");
        let state = |name: &str| {
            let nodes = found["nodes"].as_array().unwrap();
            nodes.iter().find(|it| it[0] == name).map(|it| it[1].as_str().unwrap().to_owned())
        };
        assert_eq!(state("ip-10-0-1-11.ec2.internal").as_deref(), Some("node ready"));
        assert_eq!(state("ip-10-0-3-3a.ec2.internal").as_deref(), Some("node cordoned"));
        assert_eq!(state("ip-10-0-3-3b.ec2.internal").as_deref(), Some("node down"));
        assert_eq!(state("ip-10-0-9-91.ec2.internal"), None, "it is in no pool");
        let text = found["text"].as_str().unwrap();
        for words in [
            "Not fit for AutoMQ",
            "no pool taint",
            HOSTILE,
            "automq-instance-3/broker-0",
            "kubectl taint node ip-10-0-2-21.ec2.internal dedicated=automq:NoSchedule",
        ] {
            assert!(text.contains(words), "{width}: {words} is not in {text}");
        }
        let picture = fs::read(browser.screenshot(size)).unwrap();
        assert!(picture.starts_with(b"\x89PNG"), "{width}");
        // An empty page of this size takes a tenth of it.
        assert!(picture.len() > 15_000, "{width}: {}", picture.len());
    }
}
