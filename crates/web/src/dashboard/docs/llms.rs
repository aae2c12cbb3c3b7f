//! `/llms.txt`: what this service is and how it is called, for programs that read.

use std::fmt::Write as _;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;

use super::guide::Page;
use super::prose::Prose;
use super::reader::base_url;
use super::reference::{Callers, Reference};
use crate::dashboard::text::Texts;
use crate::language::Language;
use crate::router::Web;

/// The text, in the form of llmstxt.org.
pub(super) async fn text(State(web): State<Web>) -> Response {
    let text = written(&base_url(&web), web.app.settings().brand().as_str());
    ([(CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
}

fn written(base: &str, brand: &str) -> String {
    let t = Texts::new(Language::English);
    let mut text = format!(
        "# Trousseau\n\n\
         > Issues API keys to businesses, checks them and says why one was refused. This installation's keys begin with \
         `{brand}_TEST_` or `{brand}_LIVE_`, or are 20 or 40 letters and digits, as the business's profile says.\n\n\
         Base URL: {base}\n\n\
         - Send a key in one header, with the business id beside it: `apikey: KEY` and `businessid: ID`, or \
         `Authorization: Basic base64(ID:KEY)`. Never in a URL, and never a secret key from a browser.\n\
         - Errors are RFC 9457 problems with a stable `code`; their `type` is a page at {base}/problems/.\n\
         - Every answer has `X-Request-Id`, the reference under which a refusal can be looked up.\n\
         - TEST and LIVE share nothing. Use a TEST key for trials.\n\n\
         ## Guide\n\n"
    );
    for page in Page::ALL {
        let _ = writeln!(text, "- [{}]({base}{})", page.title(t), page.href());
    }
    for group in &Reference::of(Language::English).groups {
        let _ = write!(text, "\n## {}\n\n", group.name);
        for operation in &group.operations {
            let _ = write!(
                text,
                "- [{} {}]({base}/docs/api/{}): {}",
                operation.method, operation.path, operation.slug, operation.title
            );
            if let Some(about) = &operation.about {
                let _ = write!(text, ". {}", Prose::as_str(about).trim_end_matches('.'));
            }
            match (operation.callers, &operation.scope) {
                (Callers::Platform, _) => text.push_str(". Operator's key"),
                (_, Some(scope)) => {
                    let _ = write!(text, ". Scope `{scope}`");
                }
                (_, None) => {}
            }
            text.push('\n');
        }
    }
    let _ =
        write!(text, "\n## Machine-readable\n\n- [OpenAPI 3.1]({base}/openapi.json): every route with its schemas\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_names_the_main_calls_with_their_pages() {
        let text = written("https://keys.example.com", "Acme");
        for part in [
            "# Trousseau\n",
            "`Acme_TEST_`",
            "- [GET /v1/whoami](https://keys.example.com/docs/api/whoami): Who am I. ",
            "](https://keys.example.com/docs/rotate)",
            "Scope `keys:write`",
            "(https://keys.example.com/openapi.json)",
        ] {
            assert!(text.contains(part), "{part} is not in:\n{text}");
        }
    }
}
