//! Calls to paste: the key is a variable of the shell, never a value.

use std::fmt::Write as _;

use trousseau_domain::ids::BusinessId;
use trousseau_domain::profile::Profile;

use crate::router::Web;

/// The methods that our routes have.
pub(crate) const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/// A call of a route with curl; nothing for a method that no route has. Variable parts of the route, and the body
/// where the method has one, become variables of the shell.
pub(crate) fn call(web: &Web, profile: &Profile, business: &BusinessId, method: &str, route: &str) -> Option<String> {
    written(web.app.address().as_str(), profile.business_id_required, business, method, route)
}

fn written(address: &str, id_required: bool, business: &BusinessId, method: &str, route: &str) -> Option<String> {
    let method = METHODS.into_iter().find(|known| *known == method)?;
    let mut text = String::from("curl -s ");
    if method != "GET" {
        let _ = write!(text, "-X {method} ");
    }
    let known = ["{business_id}", "{merchantId}"].iter().fold(route.to_owned(), |route, name| {
        // What the business is called in its own address needs no variable.
        route.replace(name, business.as_str())
    });
    let path = filled(&known);
    let url = format!("{}{path}", address.trim_end_matches('/'));
    // Quotes keep a shell's hands off what is not plain, and still let it fill in its variables.
    let _ = if path.contains('$') { write!(text, "\"{url}\"") } else { write!(text, "{url}") };
    if id_required {
        let _ = write!(text, " \\\n  -H \"apikey: $API_KEY\" \\\n  -H \"businessid: {business}\"");
    } else {
        text.push_str(" -u \"$API_KEY:\"");
    }
    if matches!(method, "POST" | "PUT" | "PATCH") {
        text.push_str(" \\\n  -H \"Content-Type: application/json\" \\\n  -d \"$BODY\"");
    }
    Some(text)
}

/// The route with `$ID` in place of `{id}`.
fn filled(route: &str) -> String {
    let mut parts = route.split('{');
    let mut path = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once('}').unwrap_or((part, ""));
        let variable = name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' });
        path.push('$');
        path.extend(variable);
        path.push_str(rest);
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_name_what_the_log_does_not_keep() {
        let business: BusinessId = "12345678901234".parse().expect("an id");
        let call =
            |method, route, id_required| written("https://keys.example.com/", id_required, &business, method, route);
        assert_eq!(
            call("GET", "/v1/whoami", true).as_deref(),
            Some(
                "curl -s https://keys.example.com/v1/whoami \\\n  -H \"apikey: $API_KEY\" \\\n  \
                 -H \"businessid: 12345678901234\""
            )
        );
        assert_eq!(
            call("POST", "/v1/businesses/{business_id}/keys/{id}/revoke", false).as_deref(),
            Some(
                "curl -s -X POST \"https://keys.example.com/v1/businesses/12345678901234/keys/$ID/revoke\" \
                 -u \"$API_KEY:\" \\\n  -H \"Content-Type: application/json\" \\\n  -d \"$BODY\""
            )
        );
        assert_eq!(call("`id`", "/v1/whoami", true), None);
    }
}
