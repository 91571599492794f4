//! Diagnostics: the mistakes in a file, and their places.

use std::{error, fmt, ops::Range};

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

/// The severity of a diagnostic: it decides whether PoolGuard can use the config.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DiagnosticSeverity {
    /// PoolGuard cannot use the config.
    Error,
    /// PoolGuard can use the config, but the config probably does not do what its author meant.
    Warning,
}

impl DiagnosticSeverity {
    /// Returns the severity as messages spell it: `error` or `warning`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// A place in the text of a config.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// First byte after it.
    pub end: usize,
    /// Line of the first byte, counted from 1.
    pub line: usize,
    /// Column of the first byte in characters, counted from 1.
    pub column: usize,
}

impl Span {
    /// The beginning of the text, for diagnostics about an absent key.
    pub(super) const START: Self = Self { start: 0, end: 0, line: 1, column: 1 };
}

/// One mistake, or one thing to think about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The severity: whether PoolGuard can use the config despite this diagnostic.
    pub severity: DiagnosticSeverity,
    /// The mistake, in one sentence without a period.
    pub message: String,
    /// The key, as `pools[0].zones`; empty for the whole file.
    pub key: String,
    /// The place in the text.
    pub span: Span,
    /// The advice for the user.
    pub help: Option<String>,
    /// Other places that belong to the mistake, each with a label that explains it.
    pub related: Vec<(Span, String)>,
    /// Whether a line of the file is about the message. For a warning about an absent key of the top level, none is.
    pub has_line: bool,
}

impl Diagnostic {
    pub(super) fn new(
        severity: DiagnosticSeverity,
        key: &str,
        span: Span,
        message: String,
    ) -> Self {
        let (key, related) = (key.to_owned(), Vec::new());
        Self { severity, message, key, span, help: None, related, has_line: true }
    }

    /// Returns the diagnostic with advice for the user.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(super) fn with_related(mut self, span: Span, label: impl Into<String>) -> Self {
        self.related.push((span, label.into()));
        self
    }

    /// Returns the diagnostic in one line, for logs: `config.yaml:9:3: unknown key …; help: …`.
    pub fn one_line(&self, file_name: &str) -> String {
        let Span { line, column, .. } = self.span;
        let mut text = format!("{file_name}:{line}:{column}: ");
        if self.severity == DiagnosticSeverity::Warning {
            text.push_str("warning: ");
        }
        text.push_str(&self.message);
        if let Some(help) = &self.help {
            text.push_str("; help: ");
            text.push_str(help);
        }
        text
    }

    /// The diagnostic with the lines of the config that it is about.
    pub fn render(&self, source: ConfigSource<'_>, decoration: Decoration) -> String {
        let level = match self.severity {
            DiagnosticSeverity::Error => Level::ERROR,
            DiagnosticSeverity::Warning => Level::WARNING,
        };
        let title = level.primary_title(self.message.as_str());
        let mut report: Group<'_> = if source.text.trim().is_empty() || !self.has_line {
            title.element(Origin::path(source.name))
        } else {
            let mut snippet = Snippet::source(source.text).path(source.name).annotation(
                AnnotationKind::Primary.span(source.clamp(self.span)).highlight_source(false),
            );
            for (span, label) in &self.related {
                snippet = snippet.annotation(
                    AnnotationKind::Context.span(source.clamp(*span)).label(label.as_str()),
                );
            }
            title.element(snippet)
        };
        if let Some(help) = &self.help {
            report = report.element(Level::HELP.message(help.as_str()));
        }
        match decoration {
            Decoration::Plain => Renderer::plain().render(&[report]),
            Decoration::Styled => Renderer::styled().render(&[report]),
        }
    }
}

/// The style of a rendering: with or without terminal colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoration {
    /// Plain text.
    Plain,
    /// Text with escape sequences.
    Styled,
}

/// A config's text with the name that diagnostics call it by.
#[derive(Clone, Copy, Debug)]
pub struct ConfigSource<'s> {
    /// File name.
    pub name: &'s str,
    /// The whole text.
    pub text: &'s str,
}

impl ConfigSource<'_> {
    /// The byte range of a span: inside the text, on character boundaries, and of one line, since
    /// where a thing begins says enough.
    fn clamp(&self, span: Span) -> Range<usize> {
        let start = self.text.floor_char_boundary(span.start);
        let end = self.text.ceil_char_boundary(span.end.max(start));
        let line_end = self.text[start..].find('\n').map_or(end, |length| start + length);
        start..end.min(line_end)
    }
}

/// The diagnostics of one reading of a config, by position. At least one of them is an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostics {
    file_name: String,
    text: String,
    list: Vec<Diagnostic>,
}

impl Diagnostics {
    pub(super) fn new(source: ConfigSource<'_>, list: Vec<Diagnostic>) -> Self {
        Self { file_name: source.name.to_owned(), text: source.text.to_owned(), list }
    }

    /// The diagnostics, by position.
    pub fn as_slice(&self) -> &[Diagnostic] {
        &self.list
    }

    /// Renders all diagnostics, each with the lines that it is about.
    pub fn render(&self, decoration: Decoration) -> String {
        let source = ConfigSource { name: &self.file_name, text: &self.text };
        let rendered: Vec<_> =
            self.list.iter().map(|diagnostic| diagnostic.render(source, decoration)).collect();
        rendered.join("\n\n")
    }
}

impl fmt::Display for Diagnostics {
    /// Writes one line for each diagnostic.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.list.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            f.write_str(&diagnostic.one_line(&self.file_name))?;
        }
        Ok(())
    }
}

impl error::Error for Diagnostics {}
