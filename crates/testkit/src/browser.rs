//! A browser that reads pages without script: it keeps cookies, follows links and sends forms.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use axum::body::Body;
use http::header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use http::{Method, Request};

use crate::client::{Answer, Client};

/// A browser with its cookies.
#[derive(Debug, Clone)]
pub struct Browser {
    client: Client,
    cookies: BTreeMap<String, String>,
    language: String,
}

impl Browser {
    /// A browser without cookies that asks for English pages.
    pub fn new(client: Client) -> Self {
        Self { client, cookies: BTreeMap::new(), language: "en".to_owned() }
    }

    /// The same browser, asking for pages in this language.
    #[must_use]
    pub fn speaking(mut self, language: &str) -> Self {
        language.clone_into(&mut self.language);
        self
    }

    /// The same browser with a cookie.
    #[must_use]
    pub fn with_cookie(mut self, name: &str, value: &str) -> Self {
        self.cookies.insert(name.to_owned(), value.to_owned());
        self
    }

    /// The value of a cookie.
    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies.get(name).map(String::as_str)
    }

    /// Opens a page.
    pub async fn get(&mut self, path: &str) -> Answer {
        let request = self.request(Method::GET, path);
        self.call(request.body(Body::empty()).expect("a request")).await
    }

    /// Sends these fields, as a form of a page of this site does, and does not follow where the answer leads.
    pub async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let request = self.request(Method::POST, path).header("sec-fetch-site", "same-origin");
        self.send(request, fields).await
    }

    /// Sends these fields as a page of another site would.
    pub async fn post_from_elsewhere(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let request = self.request(Method::POST, path).header("sec-fetch-site", "cross-site");
        let request = request.header("origin", "https://elsewhere.example").header("host", "keys.example.com");
        self.send(request, fields).await
    }

    /// Opens a page, sends its form to `action` with these fields in place of the form's own, and gives the answer.
    ///
    /// # Panics
    /// If the page has no such form.
    pub async fn submit(&mut self, page: &str, action: &str, fields: &[(&str, &str)]) -> Answer {
        let filled = self.fill(page, action, fields).await;
        self.post_filled(action, &filled).await
    }

    /// Opens a page and fills its form that goes to `action`, without sending it.
    ///
    /// # Panics
    /// As [`Browser::submit`].
    pub async fn fill(&mut self, page: &str, action: &str, fields: &[(&str, &str)]) -> Vec<(String, String)> {
        let shown = self.get(page).await;
        assert_eq!(shown.status.as_u16(), 200, "{page}: {}", shown.text());
        let mut all = form_fields(&shown.text(), action);
        all.retain(|(name, _)| !fields.iter().any(|(given, _)| given == name));
        all.extend(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        all
    }

    /// Sends the form that goes to `action` on a page that is shown already, with these fields set.
    ///
    /// # Panics
    /// If the page has no such form.
    pub async fn submit_shown(&mut self, shown: &str, action: &str, fields: &[(&str, &str)]) -> Answer {
        let mut all = form_fields(shown, action);
        all.retain(|(name, _)| !fields.iter().any(|(given, _)| given == name));
        all.extend(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        self.post_filled(action, &all).await
    }

    /// Sends a form that was filled.
    pub async fn post_filled(&mut self, action: &str, filled: &[(String, String)]) -> Answer {
        let fields: Vec<(&str, &str)> = filled.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.post(action, &fields).await
    }

    /// Sends a form with a file, as `multipart/form-data`, beside these fields.
    pub async fn post_file(&mut self, action: &str, fields: &[(&str, &str)], name: &str, file: &[u8]) -> Answer {
        const BOUNDARY: &str = "----a-boundary-that-no-file-holds";
        let mut body = Vec::new();
        for (name, value) in fields {
            let part = format!("--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
            body.extend(part.into_bytes());
        }
        let head = format!(
            "--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"{name}\"; filename=\"a file.png\"\r\n\
             content-type: image/png\r\n\r\n"
        );
        body.extend(head.into_bytes());
        body.extend(file);
        body.extend(format!("\r\n--{BOUNDARY}--\r\n").into_bytes());
        let request = self
            .request(Method::POST, action)
            .header("sec-fetch-site", "same-origin")
            .header(CONTENT_TYPE, format!("multipart/form-data; boundary={BOUNDARY}"));
        self.call(request.body(Body::from(body)).expect("a request")).await
    }

    /// Opens where an answer leads.
    ///
    /// # Panics
    /// If it leads nowhere.
    pub async fn follow(&mut self, answer: &Answer) -> Answer {
        assert_eq!(answer.status.as_u16(), 303, "{}", answer.text());
        let to = answer.header(LOCATION.as_str()).to_owned();
        self.get(&to).await
    }

    fn request(&self, method: Method, path: &str) -> http::request::Builder {
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("accept", "text/html,application/xhtml+xml,*/*;q=0.8")
            .header("accept-language", &self.language);
        if cookies.is_empty() { request } else { request.header(COOKIE, cookies.join("; ")) }
    }

    async fn send(&mut self, request: http::request::Builder, fields: &[(&str, &str)]) -> Answer {
        let body: Vec<String> =
            fields.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.call(request.body(Body::from(body.join("&"))).expect("a request")).await
    }

    async fn call(&mut self, request: Request<Body>) -> Answer {
        let answer = self.client.call(request).await;
        for cookie in answer.headers.get_all(SET_COOKIE) {
            let text = cookie.to_str().expect("cookies are ASCII");
            let (pair, attributes) = text.split_once(';').expect("our cookies have attributes");
            let (name, value) = pair.split_once('=').expect("a name and a value");
            if attributes.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }
}

fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

/// The fields that the form with this action would send: hidden ones, texts, areas, checked boxes and chosen options.
fn form_fields(page: &str, action: &str) -> Vec<(String, String)> {
    let start = page
        .match_indices("<form")
        .map(|(at, _)| at)
        .find(|at| attribute(tag_at(page, *at), "action").as_deref() == Some(action))
        .unwrap_or_else(|| panic!("no form goes to {action} in: {page}"));
    let form = &page[start..];
    let form = &form[..form.find("</form>").expect("the form ends")];
    let mut fields = Vec::new();
    for (at, _) in form.match_indices('<') {
        let tag = tag_at(form, at);
        if tag.starts_with("<input") {
            let kind = attribute(tag, "type").unwrap_or_default();
            let ticked = !matches!(kind.as_str(), "checkbox" | "radio") || has_attribute(tag, "checked");
            if let (true, Some(name)) = (ticked, attribute(tag, "name")) {
                fields.push((name, attribute(tag, "value").unwrap_or_else(|| "on".to_owned())));
            }
        } else if tag.starts_with("<textarea") {
            let text = &form[at + tag.len()..];
            let text = text.split_once("</textarea>").map_or("", |(text, _)| text);
            if let Some(name) = attribute(tag, "name") {
                fields.push((name, unescaped(text.trim_start_matches('\n'))));
            }
        } else if tag.starts_with("<select") {
            let options = &form[at + tag.len()..];
            let options = options.split_once("</select>").map_or("", |(options, _)| options);
            let tags: Vec<&str> = options.match_indices("<option").map(|(option, _)| tag_at(options, option)).collect();
            let chosen = tags.iter().find(|option| has_attribute(option, "selected")).or(tags.first());
            if let (Some(name), Some(option)) = (attribute(tag, "name"), chosen) {
                fields.push((name, attribute(option, "value").unwrap_or_default()));
            }
        }
    }
    fields
}

fn tag_at(page: &str, at: usize) -> &str {
    let rest = &page[at..];
    &rest[..=rest.find('>').unwrap_or(rest.len() - 1)]
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    rest.split_once('"').map(|(value, _)| unescaped(value))
}

fn has_attribute(tag: &str, name: &str) -> bool {
    tag.trim_end_matches('>').split_whitespace().any(|word| word == name)
}

fn unescaped(text: &str) -> String {
    [
        ("&#60;", "<"),
        ("&#62;", ">"),
        ("&#34;", "\""),
        ("&#39;", "'"),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&#38;", "&"),
        ("&amp;", "&"),
    ]
    .into_iter()
    .fold(text.to_owned(), |text, (escaped, plain)| text.replace(escaped, plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_sends_what_stands_in_it() {
        let page = "<form action=\"/other\"><input name=\"no\" value=\"1\"></form>\
            <form method=\"post\" action=\"/x\"><input type=\"hidden\" name=\"csrf\" value=\"ab\">\
            <input type=\"checkbox\" name=\"off\" value=\"1\"><input type=\"checkbox\" name=\"on\" value=\"2\" checked>\
            <textarea name=\"area\" rows=\"2\">\na &#38;lt; b</textarea>\
            <select name=\"choice\"><option value=\"1\">1</option><option value=\"2\" selected>2</option></select></form>";
        let fields = form_fields(page, "/x");
        let expected = [("csrf", "ab"), ("on", "2"), ("area", "a &lt; b"), ("choice", "2")];
        assert_eq!(fields, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
}
