//! One page for a colleague: pools drawn as zones with their nodes and residents, findings beside
//! them. Self-contained and without any script; all text is escaped.

mod drawing;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{AFTER_PLAN, Checked, node_count, whole};
use crate::{
    check::{CheckFinding, CheckedSubject, FindingSeverity, Fitness, PoolPicture, Status},
    cli::{markup::printable, page::count},
};

const STYLE: &str = include_str!("page.css");

/// The Content Security Policy of the page: it loads nothing from anywhere, and runs nothing.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// Renders the page. `made` is the time at which the page was made, as text for people.
pub(super) fn render(checked: &[Checked], made: &str) -> String {
    let title = match checked {
        [one] => format!("{}: {}", one.name, headline(&one.fitness)),
        several => format!("{} checked for AutoMQ", count(several.len(), "cluster")),
    };
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="referrer" content="no-referrer";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    @for (index, checked) in checked.iter().enumerate() {
                        (cluster(index, checked))
                    }
                    footer { "Made by poolguard " (env!("CARGO_PKG_VERSION")) " on " (made) }
                }
            }
        }
    };
    printable(&page.into_string())
}

fn cluster(index: usize, checked: &Checked) -> Markup {
    let Checked { name, fitness, .. } = checked;
    let Fitness { subject, provider, findings, pools, missing: _, nodes: _ } = fitness;
    let counts = fitness.counts();
    let provider = provider.map_or("unknown provider", |it| it.as_str());
    let whole = &format!("The whole {}", whole(fitness));
    let whole_id = &format!("{index}-cluster");
    let pool_id = |at: usize| format!("{index}-pool-{at}");
    let own = |pool: &PoolPicture| -> Vec<&CheckFinding> {
        findings.iter().filter(|it| it.pool.as_deref() == Some(&pool.name)).collect()
    };
    let is_pool = |name: &str| pools.iter().any(|it| it.name == name);
    let rest: Vec<&CheckFinding> =
        findings.iter().filter(|it| !it.pool.as_deref().is_some_and(is_pool)).collect();
    html! {
        h1 { "Is " (name) " fit for AutoMQ?" }
        div.verdict.(tone(fitness)) role="status" {
            strong { (headline(fitness)) }
            span { (counts) }
        }
        p.facts { (provider) " · " (node_count(fitness)) " · " (count(pools.len(), "pool")) }
        nav aria-label="Parts" {
            @for (at, pool) in pools.iter().enumerate() {
                (part_link(&pool_id(at), &pool.name, &own(pool)))
            }
            (part_link(whole_id, whole, &rest))
        }
        @if !pools.is_empty() && *subject == CheckedSubject::Cluster {
            (drawing::legend())
        }
        @for (at, pool) in pools.iter().enumerate() {
            (pool_section(&pool_id(at), pool, *subject, &own(pool)))
        }
        section.pool id=(whole_id) {
            header { h2 { (whole) } }
            (finding_list(&rest))
            (missing_kinds(checked))
        }
    }
}

/// Returns the kinds that the input lacks, and the command that adds them.
fn missing_kinds(checked: &Checked) -> Markup {
    let fitness = &checked.fitness;
    let subject = &fitness.subject;
    html! {
        @if let CheckedSubject::Plan { .. } = subject {
            div.finding { p { (AFTER_PLAN) } }
        }
        @if let Some(dump_command) = &checked.dump_command && !checked.missing.is_empty() {
            div.finding {
                p { (checked.lacks().join(" ")) }
                pre { code { (dump_command) } }
            }
        }
    }
}

/// Returns the headline of the answer, with a capital letter.
fn headline(fitness: &Fitness) -> String {
    let text = fitness.headline();
    let (first, rest) = text.split_at(1);
    format!("{}{rest}", first.to_uppercase())
}

fn tone(fitness: &Fitness) -> &'static str {
    if fitness.failures(FindingSeverity::Error) > 0 {
        "unfit"
    } else if fitness.failures(FindingSeverity::Warning) > 0 || fitness.unknowns() > 0 {
        "weak"
    } else {
        "fit"
    }
}

/// A link to a part, with a dot for the gravest of its findings.
fn part_link(id: &str, name: &str, findings: &[&CheckFinding]) -> Markup {
    let weight = |it: &&CheckFinding| match (it.status, it.severity) {
        (Status::Fail, FindingSeverity::Error) => 3,
        (Status::Fail, FindingSeverity::Warning) => 2,
        (Status::Unknown, _) => 1,
        (Status::Fail, FindingSeverity::Note) | (Status::Pass, _) => 0,
    };
    let (class, word) = match findings.iter().map(weight).max() {
        Some(3) => ("error", "errors"),
        Some(2) => ("warning", "warnings"),
        Some(1) => ("unknown", "partly unknown"),
        Some(_) | None => ("good", "fine"),
    };
    html! {
        a href={ "#" (id) } {
            i.(class) role="img" aria-label=(word) {}
            (name)
        }
    }
}

fn pool_section(
    id: &str,
    pool: &PoolPicture,
    subject: CheckedSubject,
    findings: &[&CheckFinding],
) -> Markup {
    let PoolPicture { name, is_declared, taint, instances, zones: _ } = pool;
    html! {
        section.pool id=(id) {
            header {
                h2 { (name) }
                div.tags {
                    span.tag { (taint) }
                    @if !is_declared {
                        span.tag { "found by its taint" }
                    }
                    @for instance in instances {
                        span.tag { (instance) }
                    }
                }
            }
            div.beside {
                @match subject {
                    CheckedSubject::Cluster => (drawing::zones(pool)),
                    CheckedSubject::Plan { .. } => (drawing::planned_zones(pool)),
                }
                (finding_list(findings))
            }
        }
    }
}

/// The findings: failures open, unknown and passed ones folded.
fn finding_list(findings: &[&CheckFinding]) -> Markup {
    let of = |status| findings.iter().filter(move |it| it.status == status);
    html! {
        div.findings {
            @for found in of(Status::Fail) {
                (finding(found))
            }
            @for (status, words) in
                [(Status::Unknown, "unknown"), (Status::Pass, "passed")]
            {
                @let number = of(status).count();
                @if number > 0 {
                    details {
                        summary { (number) " " (words) }
                        @for found in of(status) {
                            (finding(found))
                        }
                    }
                }
            }
        }
    }
}

fn finding(finding: &CheckFinding) -> Markup {
    let (class, word) = match (finding.status, finding.severity) {
        (Status::Pass, _) => ("good", "ok"),
        (Status::Unknown, _) => ("unknown", "unknown"),
        (Status::Fail, severity) => (severity.as_str(), severity.as_str()),
    };
    let emphasis = (finding.status == Status::Fail).then_some("fact");
    let fix = finding.fix.as_deref().unwrap_or_default();
    html! {
        div.finding {
            div.mark { b.(class) { (word) } (finding.rule.as_str()) }
            p class=[emphasis] { (finding.fact) }
            @if let Some(why) = finding.why {
                p.faint { (why) }
            }
            @if !fix.is_empty() {
                pre { code { (commands(fix)) } }
            }
        }
    }
}

/// A fix, its comments set apart.
fn commands(fix: &str) -> Markup {
    html! {
        @for (index, line) in fix.lines().enumerate() {
            @if index > 0 { "\n" }
            @if line.starts_with('#') {
                span.comment { (line) }
            } @else {
                (line)
            }
        }
    }
}
