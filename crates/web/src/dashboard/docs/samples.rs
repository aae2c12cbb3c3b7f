//! Calls in three languages that work when pasted: the key comes from the environment, never from the text.

use std::fmt::Write as _;

use serde_json::Value;

/// Where a sample calls, and for whom.
#[derive(Debug, Clone)]
pub(super) struct Target {
    /// The address of this installation, without a slash at its end.
    pub(super) base_url: String,
    /// The business id that stands beside the key.
    pub(super) business_id: String,
}

/// What proves who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Credential {
    /// Nothing is asked for.
    None,
    /// A business's key in a header of its own, with the business id beside it.
    Key,
    /// The ready-made `Authorization` header.
    Header,
    /// The operator's key.
    Platform,
}

/// What is called.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) method: String,
    /// Path and query, with values in them.
    pub(super) path: String,
    pub(super) credential: Credential,
    pub(super) body: Option<Value>,
    /// Whether the answer is JSON; none where it has no body.
    pub(super) answers_json: Option<bool>,
}

/// The same call in three languages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Samples {
    pub(super) curl: String,
    pub(super) typescript: String,
    pub(super) python: String,
}

/// The value of a header: a text, or an environment variable with a text before it.
enum HeaderValue<'a> {
    Text(&'a str),
    Variable { before: &'static str, name: &'static str },
}

impl Call {
    fn headers<'a>(&self, target: &'a Target) -> Vec<(&'static str, HeaderValue<'a>)> {
        let variable = |before, name| HeaderValue::Variable { before, name };
        let mut headers = match self.credential {
            Credential::None => vec![],
            Credential::Key => {
                vec![("apikey", variable("", "API_KEY")), ("businessid", HeaderValue::Text(&target.business_id))]
            }
            Credential::Header => vec![("Authorization", variable("", "AUTHORIZATION"))],
            Credential::Platform => vec![("Authorization", variable("Bearer ", "PLATFORM_KEY"))],
        };
        if self.body.is_some() {
            headers.push(("Content-Type", HeaderValue::Text("application/json")));
        }
        headers
    }

    /// The call in each language.
    pub(super) fn samples(&self, target: &Target) -> Samples {
        Samples { curl: self.curl(target), typescript: self.typescript(target), python: self.python(target) }
    }

    fn curl(&self, target: &Target) -> String {
        let mut text = "curl".to_owned();
        match (self.method.as_str(), &self.body) {
            ("GET", None) | ("POST", Some(_)) => {}
            (method, _) => {
                let _ = write!(text, " -X {method}");
            }
        }
        let _ = write!(text, " \"{}{}\"", target.base_url, self.path);
        for (name, value) in self.headers(target) {
            let _ = match value {
                HeaderValue::Text(value) => write!(text, " \\\n  -H \"{name}: {value}\""),
                HeaderValue::Variable { before, name: variable } => {
                    write!(text, " \\\n  -H \"{name}: {before}${variable}\"")
                }
            };
        }
        if let Some(body) = &self.body {
            let _ = write!(text, " \\\n  -d '{}'", body.to_string().replace('\'', "'\\''"));
        }
        text
    }

    fn typescript(&self, target: &Target) -> String {
        let url = Value::from(format!("{}{}", target.base_url, self.path));
        let mut options = String::new();
        if self.method != "GET" {
            let _ = writeln!(options, "  method: \"{}\",", self.method);
        }
        let headers = self.headers(target);
        if !headers.is_empty() {
            options.push_str("  headers: {\n");
            for (name, value) in headers {
                let name = if name.contains('-') { format!("\"{name}\"") } else { name.to_owned() };
                let _ = match value {
                    HeaderValue::Text(value) => writeln!(options, "    {name}: {},", Value::from(value)),
                    HeaderValue::Variable { before: "", name: variable } => {
                        writeln!(options, "    {name}: process.env.{variable} ?? \"\",")
                    }
                    HeaderValue::Variable { before, name: variable } => {
                        writeln!(options, "    {name}: `{before}${{process.env.{variable}}}`,")
                    }
                };
            }
            options.push_str("  },\n");
        }
        if let Some(body) = &self.body {
            let _ = writeln!(options, "  body: JSON.stringify({}),", indented(&pretty(body), 2));
        }
        let options = if options.is_empty() { String::new() } else { format!(", {{\n{options}}}") };
        let read = match self.answers_json {
            Some(true) => "console.log(await response.json());",
            Some(false) => "console.log(await response.text());",
            None => "console.log(response.status);",
        };
        format!(
            "const response = await fetch({url}{options});\n\
             if (!response.ok) throw new Error(`${{response.status}} ${{await response.text()}}`);\n{read}"
        )
    }

    fn python(&self, target: &Target) -> String {
        let headers = self.headers(target);
        let needs_json = self.body.is_some() || self.answers_json == Some(true);
        let needs_os = headers.iter().any(|(_, value)| matches!(value, HeaderValue::Variable { .. }));
        let mut text = String::new();
        for (needed, module) in [(needs_json, "json"), (needs_os, "os"), (true, "urllib.request")] {
            if needed {
                let _ = writeln!(text, "import {module}");
            }
        }
        let url = Value::from(format!("{}{}", target.base_url, self.path));
        let _ = write!(text, "\nrequest = urllib.request.Request(\n    {url},\n");
        if self.method != "GET" {
            let _ = writeln!(text, "    method=\"{}\",", self.method);
        }
        if !headers.is_empty() {
            text.push_str("    headers={\n");
            for (name, value) in headers {
                let _ = match value {
                    HeaderValue::Text(value) => writeln!(text, "        \"{name}\": {},", Value::from(value)),
                    HeaderValue::Variable { before: "", name: variable } => {
                        writeln!(text, "        \"{name}\": os.environ[\"{variable}\"],")
                    }
                    HeaderValue::Variable { before, name: variable } => {
                        writeln!(text, "        \"{name}\": \"{before}\" + os.environ[\"{variable}\"],")
                    }
                };
            }
            text.push_str("    },\n");
        }
        if let Some(body) = &self.body {
            let _ = writeln!(text, "    data=json.dumps({}).encode(),", indented(&python_literal(body, 0), 4));
        }
        let read = match self.answers_json {
            Some(true) => "json.load(response)",
            Some(false) => "response.read().decode()",
            None => "response.status",
        };
        let _ = write!(text, ")\nwith urllib.request.urlopen(request) as response:\n    print({read})");
        text
    }
}

/// JSON over several lines.
pub(super) fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).expect("a value has a JSON form")
}

/// The lines after the first, moved to the right.
fn indented(text: &str, by: usize) -> String {
    text.replace('\n', &format!("\n{}", " ".repeat(by)))
}

/// The same value as Python writes it.
fn python_literal(value: &Value, depth: usize) -> String {
    let pad = "    ".repeat(depth + 1);
    let end = "    ".repeat(depth);
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Array(items) if items.is_empty() => "[]".to_owned(),
        Value::Object(members) if members.is_empty() => "{}".to_owned(),
        Value::Array(items) => {
            let items = items.iter().map(|item| format!("{pad}{},\n", python_literal(item, depth + 1)));
            format!("[\n{}{end}]", items.collect::<String>())
        }
        Value::Object(members) => {
            let members = members.iter().map(|(name, value)| {
                format!("{pad}{}: {},\n", Value::from(name.as_str()), python_literal(value, depth + 1))
            });
            format!("{{\n{}{end}}}", members.collect::<String>())
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn target() -> Target {
        Target {
            base_url: "https://keys.example.com".to_owned(),
            business_id: "3f0c8a52-6a0e-4a7e-9f53-0f3f2f1f9a77".to_owned(),
        }
    }

    #[test]
    fn a_call_with_a_body_reads_like_a_person_wrote_it() {
        let call = Call {
            method: "PATCH".to_owned(),
            path: "/v1/keys/key_1".to_owned(),
            credential: Credential::Key,
            body: Some(json!({"name": "L'atelier", "state": null, "allowed_ips": ["203.0.113.0/24"]})),
            answers_json: Some(true),
        };
        let samples = call.samples(&target());
        assert_eq!(
            samples.curl,
            r#"curl -X PATCH "https://keys.example.com/v1/keys/key_1" \
  -H "apikey: $API_KEY" \
  -H "businessid: 3f0c8a52-6a0e-4a7e-9f53-0f3f2f1f9a77" \
  -H "Content-Type: application/json" \
  -d '{"allowed_ips":["203.0.113.0/24"],"name":"L'\''atelier","state":null}'"#
        );
        assert_eq!(
            samples.typescript,
            r#"const response = await fetch("https://keys.example.com/v1/keys/key_1", {
  method: "PATCH",
  headers: {
    apikey: process.env.API_KEY ?? "",
    businessid: "3f0c8a52-6a0e-4a7e-9f53-0f3f2f1f9a77",
    "Content-Type": "application/json",
  },
  body: JSON.stringify({
    "allowed_ips": [
      "203.0.113.0/24"
    ],
    "name": "L'atelier",
    "state": null
  }),
});
if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
console.log(await response.json());"#
        );
        assert_eq!(
            samples.python,
            r#"import json
import os
import urllib.request

request = urllib.request.Request(
    "https://keys.example.com/v1/keys/key_1",
    method="PATCH",
    headers={
        "apikey": os.environ["API_KEY"],
        "businessid": "3f0c8a52-6a0e-4a7e-9f53-0f3f2f1f9a77",
        "Content-Type": "application/json",
    },
    data=json.dumps({
        "allowed_ips": [
            "203.0.113.0/24",
        ],
        "name": "L'atelier",
        "state": None,
    }).encode(),
)
with urllib.request.urlopen(request) as response:
    print(json.load(response))"#
        );
    }

    #[test]
    fn a_call_without_anything_is_short() {
        let call = Call {
            method: "GET".to_owned(),
            path: "/livez".to_owned(),
            credential: Credential::None,
            body: None,
            answers_json: Some(false),
        };
        let samples = call.samples(&target());
        assert_eq!(samples.curl, r#"curl "https://keys.example.com/livez""#);
        assert!(samples.typescript.starts_with("const response = await fetch(\"https://keys.example.com/livez\");\n"));
        assert!(!samples.python.contains("import os"), "{}", samples.python);
    }
}
