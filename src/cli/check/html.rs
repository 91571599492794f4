//! One page for a colleague: pools drawn as zones with their nodes and residents, findings beside
//! them. Self-contained and without any script; all text is escaped.

mod drawing;

use std::fmt;

use super::{AFTER_PLAN, Checked, markup::HtmlText, node_count, whole};
use crate::{
    check::{CheckFinding, CheckedSubject, FindingSeverity, Fitness, PoolPicture, Status},
    cli::page::count,
};

pub(super) struct HtmlPage<'a> {
    pub(super) checked: &'a [Checked],
    /// When, for people.
    pub(super) made: &'a str,
}

const STYLE: &str = include_str!("page.css");

/// Nothing is loaded from anywhere, and nothing runs.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

impl fmt::Display for HtmlPage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { checked, made } = self;
        let title = match checked {
            [one] => format!("{}: {}", one.name, headline(&one.fitness)),
            several => format!("{} checked for AutoMQ", count(several.len(), "cluster")),
        };
        write!(
            f,
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
             <meta name=\"referrer\" content=\"no-referrer\">\n\
             <title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n",
            HtmlText(&title)
        )?;
        for (index, checked) in checked.iter().enumerate() {
            cluster(f, index, checked)?;
        }
        writeln!(
            f,
            "<footer>Made by poolguard {} on {}</footer>\n</main>\n</body>\n</html>",
            env!("CARGO_PKG_VERSION"),
            HtmlText(made)
        )
    }
}

fn cluster(f: &mut fmt::Formatter<'_>, index: usize, checked: &Checked) -> fmt::Result {
    let Checked { name, fitness, dump_command } = checked;
    let Fitness { subject, provider, findings, pools, missing, nodes: _ } = fitness;
    writeln!(f, "<h1>Is {} fit for AutoMQ?</h1>", HtmlText(name))?;
    let verdict = fitness.verdict();
    let (_, counts) = verdict.split_once(": ").unwrap_or(("", &verdict));
    writeln!(
        f,
        "<div class=\"verdict {}\" role=\"status\"><strong>{}</strong><span>{}</span></div>",
        tone(fitness),
        headline(fitness),
        HtmlText(counts)
    )?;
    let provider = provider.map_or("unknown provider", |it| it.as_str());
    let whole = &format!("The whole {}", whole(fitness));
    let nodes = node_count(fitness);
    let pool_count = count(pools.len(), "pool");
    writeln!(f, "<p class=\"facts\">{provider} · {nodes} · {pool_count}</p>")?;
    writeln!(f, "<nav aria-label=\"Parts\">")?;
    for (at, pool) in pools.iter().enumerate() {
        let own = findings.iter().filter(|it| it.pool.as_deref() == Some(&pool.name));
        part_link(f, &format!("{index}-pool-{at}"), &pool.name, own)?;
    }
    let is_pool = |name: &str| pools.iter().any(|it| it.name == name);
    let is_rest = |it: &&CheckFinding| !it.pool.as_deref().is_some_and(is_pool);
    part_link(f, &format!("{index}-cluster"), whole, findings.iter().filter(is_rest))?;
    writeln!(f, "</nav>")?;
    if !pools.is_empty() && *subject == CheckedSubject::Cluster {
        writeln!(f, "{}", drawing::LEGEND)?;
    }
    for (at, pool) in pools.iter().enumerate() {
        let own = |it: &&CheckFinding| it.pool.as_deref() == Some(&pool.name);
        let id = format!("{index}-pool-{at}");
        pool_section(f, &id, pool, *subject, &findings.iter().filter(own))?;
    }
    writeln!(f, "<section class=\"pool\" id=\"{index}-cluster\">")?;
    writeln!(f, "<header><h2>{whole}</h2></header>")?;
    finding_list(f, &findings.iter().filter(is_rest))?;
    if let CheckedSubject::Plan { .. } = subject {
        writeln!(f, "<div class=\"finding\"><p>{}</p></div>", HtmlText(AFTER_PLAN))?;
    }
    if let Some(dump_command) = dump_command
        && !missing.is_empty()
    {
        let missing = missing.join(", ");
        writeln!(f, "<div class=\"finding\"><p>The input lacks {}.", HtmlText(&missing))?;
        writeln!(f, "This dumps everything that is asked for:</p>")?;
        writeln!(f, "<pre><code>{}</code></pre></div>", HtmlText(dump_command))?;
    }
    writeln!(f, "</section>")
}

/// The answer, as a heading.
fn headline(fitness: &Fitness) -> String {
    let text = fitness.headline();
    let (first, rest) = text.split_at(1);
    format!("{}{rest}", first.to_uppercase())
}

fn tone(fitness: &Fitness) -> &'static str {
    if fitness.failures(FindingSeverity::Error) > 0 {
        "unfit"
    } else if fitness.failures(FindingSeverity::Warning) > 0 || fitness.nodes == 0 {
        "weak"
    } else {
        "fit"
    }
}

/// A link to a part, with a dot for the gravest of its findings.
fn part_link<'a>(
    f: &mut fmt::Formatter<'_>,
    id: &str,
    name: &str,
    findings: impl Iterator<Item = &'a CheckFinding>,
) -> fmt::Result {
    let weight = |it: &CheckFinding| match (it.status, it.severity) {
        (Status::Fail, FindingSeverity::Error) => 3,
        (Status::Fail, FindingSeverity::Warning) => 2,
        (Status::Unknown, _) => 1,
        (Status::Fail, FindingSeverity::Note) | (Status::Pass, _) => 0,
    };
    let (class, word) = match findings.map(weight).max() {
        Some(3) => ("error", "errors"),
        Some(2) => ("warning", "warnings"),
        Some(1) => ("unknown", "unknown in part"),
        Some(_) | None => ("good", "fine"),
    };
    writeln!(
        f,
        "<a href=\"#{id}\"><i class=\"{class}\" role=\"img\" aria-label=\"{word}\"></i>{}</a>",
        HtmlText(name)
    )
}

fn pool_section<'a>(
    f: &mut fmt::Formatter<'_>,
    id: &str,
    pool: &PoolPicture,
    subject: CheckedSubject,
    findings: &(impl Iterator<Item = &'a CheckFinding> + Clone),
) -> fmt::Result {
    let PoolPicture { name, is_declared, taint, instances, zones: _ } = pool;
    writeln!(f, "<section class=\"pool\" id=\"{id}\">")?;
    writeln!(f, "<header><h2>{}</h2><div class=\"tags\">", HtmlText(name))?;
    writeln!(f, "<span class=\"tag\">{}</span>", HtmlText(taint))?;
    if !is_declared {
        writeln!(f, "<span class=\"tag\">found by its taint</span>")?;
    }
    for instance in instances {
        writeln!(f, "<span class=\"tag\">{}</span>", HtmlText(instance))?;
    }
    writeln!(f, "</div></header>\n<div class=\"beside\">")?;
    match subject {
        CheckedSubject::Cluster => drawing::zones(f, pool)?,
        CheckedSubject::Plan { .. } => drawing::planned_zones(f, pool)?,
    }
    finding_list(f, findings)?;
    writeln!(f, "</div>\n</section>")
}

/// What fails, open; what holds and what is not known, folded.
fn finding_list<'a>(
    f: &mut fmt::Formatter<'_>,
    findings: &(impl Iterator<Item = &'a CheckFinding> + Clone),
) -> fmt::Result {
    let of = |status| findings.clone().filter(move |it| it.status == status);
    writeln!(f, "<div class=\"findings\">")?;
    for found in of(Status::Fail) {
        finding(f, found)?;
    }
    for (status, words) in [(Status::Unknown, "not known"), (Status::Pass, "as it should be")] {
        let number = of(status).count();
        if number == 0 {
            continue;
        }
        writeln!(f, "<details><summary>{number} {words}</summary>")?;
        for found in of(status) {
            finding(f, found)?;
        }
        writeln!(f, "</details>")?;
    }
    writeln!(f, "</div>")
}

fn finding(f: &mut fmt::Formatter<'_>, finding: &CheckFinding) -> fmt::Result {
    let (class, word) = match (finding.status, finding.severity) {
        (Status::Pass, _) => ("good", "ok"),
        (Status::Unknown, _) => ("unknown", "unknown"),
        (Status::Fail, severity) => (severity.as_str(), severity.as_str()),
    };
    let emphasis = if finding.status == Status::Fail { " class=\"fact\"" } else { "" };
    writeln!(f, "<div class=\"finding\">")?;
    writeln!(f, "<div class=\"mark\"><b class=\"{class}\">{word}</b>{}</div>", finding.rule)?;
    writeln!(f, "<p{emphasis}>{}</p>", HtmlText(&finding.fact))?;
    if let Some(why) = finding.why {
        writeln!(f, "<p class=\"faint\">{}</p>", HtmlText(why))?;
    }
    if let Some(fix) = finding.fix.as_deref().filter(|it| !it.is_empty()) {
        write!(f, "<pre><code>")?;
        for (index, line) in fix.lines().enumerate() {
            let end = if index == 0 { "" } else { "\n" };
            if line.starts_with('#') {
                write!(f, "{end}<span class=\"comment\">{}</span>", HtmlText(line))?;
            } else {
                write!(f, "{end}{}", HtmlText(line))?;
            }
        }
        writeln!(f, "</code></pre>")?;
    }
    writeln!(f, "</div>")
}
