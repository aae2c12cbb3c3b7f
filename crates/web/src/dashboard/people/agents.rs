//! Which browser somebody sits at, in a word or two.

use trousseau_domain::requests::ClientName;

/// What browsers write of themselves, and what they are called: the first that fits, since most of them name others too.
const BROWSERS: [(&str, &str); 9] = [
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("HeadlessChrome/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
];
/// The same of systems.
const SYSTEMS: [(&str, &str); 7] = [
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
];

/// The browser and its system, such as `Chrome, Linux`; the program where it is none; nothing where it names neither.
pub(super) fn called(agent: &str) -> Option<String> {
    let first = |known: &[(&str, &'static str)]| {
        known.iter().find(|(mark, _)| agent.contains(mark)).map(|(_, name)| (*name).to_owned())
    };
    match (first(&BROWSERS), first(&SYSTEMS)) {
        (Some(browser), Some(system)) => Some(format!("{browser}, {system}")),
        (Some(browser), None) => Some(browser),
        (None, _) => ClientName::of_user_agent(agent).map(|client| client.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_are_called_what_people_call_them() {
        let chrome =
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36";
        for (agent, name) in [
            (chrome.to_owned(), Some("Chrome, Linux")),
            (format!("{chrome} Edg/140.0.0.0").replace("X11; Linux x86_64", "Windows NT 10.0"), Some("Edge, Windows")),
            ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:143.0) Gecko/20100101 Firefox/143.0".to_owned(), Some("Firefox, macOS")),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605 Version/18.0 Mobile/15E148 Safari/604.1"
                    .to_owned(),
                Some("Safari, iPhone"),
            ),
            ("curl/8.14.1".to_owned(), Some("curl/8.14.1")),
            (String::new(), None),
            ("<b>".to_owned(), None),
        ] {
            assert_eq!(called(&agent).as_deref(), name, "{agent}");
        }
    }
}
