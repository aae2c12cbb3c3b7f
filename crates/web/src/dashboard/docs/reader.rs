//! For whom a page of the documentation is filled in.

use axum::extract::FromRequestParts;
use http::request::Parts;
use trousseau_domain::environment::Environment;
use trousseau_domain::ids::BusinessId;
use trousseau_domain::key_text::KeyForm;
use trousseau_domain::keys::KeyKind;
use trousseau_domain::members::Operation;
use trousseau_domain::profile::{
    BusinessIdForm, Changing, Environments, LimitPer, ManagedByKeys, Profile, Reading, Revoking,
};
use trousseau_service::Settings;
use trousseau_service::people::{SessionToken, SignedIn};

use super::samples::Target;
use crate::dashboard::frame::Frame;
use crate::dashboard::session::session_cookie;
use crate::problem::Failure;
use crate::router::Web;

/// The id in samples for those who have none.
const SOME_UUID: &str = "3f0c8a52-6a0e-4a7e-9f53-0f3f2f1f9a77";
/// Digits in samples for those who have none; a form takes as many of them as it needs.
const SOME_DIGITS: &str = "17616983000123456789";
/// Letters and digits in the forms of keys.
const SOME_BODY: &str = "4fK9sTq2LmX7cVb1Rz6Wd0YpHn3Gj8Ae5UiQoC2x7KB";

/// The reader's business, or the platform's default profile, and this installation's address.
#[derive(Debug, Clone)]
pub(super) struct Reader {
    pub(super) brand: String,
    pub(super) base_url: String,
    pub(super) business: Option<OwnBusiness>,
    pub(super) profile_name: String,
    /// The profiles that can be read about, the chosen one included.
    pub(super) profiles: Vec<String>,
    profile: Profile,
}

/// A business of the reader.
#[derive(Debug, Clone)]
pub(super) struct OwnBusiness {
    pub(super) id: BusinessId,
    pub(super) name: String,
    /// Whether the reader's role sees anything of keys.
    pub(super) sees_keys: bool,
}

/// A page that anybody may read, and who reads it if somebody is signed in.
#[derive(Debug)]
pub(super) struct ReadBy {
    pub(super) frame: Frame,
    pub(super) person: Option<SignedIn>,
}

impl FromRequestParts<Web> for ReadBy {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Failure> {
        let frame = Frame::from_request_parts(parts, web).await?;
        let person = match session_cookie(&parts.headers, web.secure_cookies).and_then(SessionToken::parse) {
            Some(token) => web.app.people().session(&token).await?,
            None => None,
        };
        Ok(Self { frame, person })
    }
}

impl ReadBy {
    /// The business that a page is filled in for: the one asked for, else the first by name.
    pub(super) fn business(&self, asked: Option<&str>) -> Option<(OwnBusiness, String)> {
        let memberships = &self.person.as_ref()?.memberships;
        let chosen = memberships.iter().find(|membership| asked == Some(membership.business.id.as_str()));
        let membership = chosen.or(memberships.first())?;
        let own = OwnBusiness {
            id: membership.business.id.clone(),
            name: membership.business.name.as_str().to_owned(),
            sees_keys: membership.role.may(Operation::KeysRead),
        };
        Some((own, membership.business.profile.clone()))
    }
}

impl Reader {
    /// What is said of `profile`; of the platform's default one where that is not there.
    pub(super) fn new(
        settings: &Settings,
        profile: Option<&str>,
        business: Option<OwnBusiness>,
        base_url: String,
    ) -> Self {
        let default = settings.default_profile().as_str();
        let chosen = profile.filter(|name| settings.profile(name).is_some()).unwrap_or(default);
        let rules = settings.profile(chosen).expect("the default profile is one of the profiles");
        Self {
            brand: settings.brand().as_str().to_owned(),
            base_url,
            business,
            profile_name: chosen.to_owned(),
            profiles: settings.profiles().map(|(name, _)| name.as_str().to_owned()).collect(),
            profile: rules.as_ref().clone(),
        }
    }

    /// Where samples call.
    pub(super) fn target(&self) -> Target {
        Target { base_url: self.base_url.clone(), business_id: self.business_id() }
    }

    /// The reader's business id, or one like it.
    pub(super) fn business_id(&self) -> String {
        match (&self.business, self.profile.business_id) {
            (Some(business), _) => business.id.to_string(),
            (None, BusinessIdForm::Uuid) => SOME_UUID.to_owned(),
            (None, BusinessIdForm::Digits(count)) => SOME_DIGITS.chars().take(usize::from(count)).collect(),
        }
    }

    /// Where the reader's keys are, for those who may see them.
    pub(super) fn keys_href(&self) -> Option<String> {
        let business = self.business.as_ref().filter(|business| business.sees_keys)?;
        let environment = if self.both_environments() { Environment::Test } else { Environment::Live };
        Some(format!("/b/{}/{environment}/developers/api-keys", business.id))
    }

    /// Where the reader's refused calls are, for those who may see them.
    pub(super) fn requests_href(&self) -> Option<String> {
        self.keys_href().map(|href| href.replace("/api-keys", "/requests"))
    }

    /// Where the reader's endpoints are.
    pub(super) fn webhooks_href(&self) -> Option<String> {
        self.keys_href().map(|href| href.replace("/api-keys", "/webhooks"))
    }

    /// What a key of this kind and environment looks like. Never a key: the checksum is none.
    pub(super) fn example(&self, environment: &str, kind: &str) -> String {
        let environment = if environment == "live" { Environment::Live } else { Environment::Test };
        let kind = if kind == "checkout" { KeyKind::Checkout } else { KeyKind::Secret };
        match self.profile.form(kind) {
            Some(KeyForm::Plain(length)) => SOME_BODY.chars().take(length.get()).collect(),
            Some(KeyForm::Branded) | None => {
                let infix = if kind == KeyKind::Checkout { "CHECKOUTKEY_" } else { "" };
                let word = environment.in_key_text();
                format!("{}_{word}_{infix}{}", self.brand, SOME_BODY.chars().take(38).collect::<String>())
            }
        }
    }

    /// A page of a shop, to begin with.
    pub(super) fn shop_page(&self) -> String {
        let (base, id) = (&self.base_url, self.business_id());
        let key = format!("{}_TEST_CHECKOUTKEY_...", self.brand);
        format!(
            r##"<script src="{base}/trousseau.js"></script>
<button id="pay">Pay</button>
<script type="module">
  const trousseau = Trousseau({{ key: "{key}", business: "{id}" }});
  document.querySelector("#pay").onclick = async ({{ target }}) => {{
    const payment = await trousseau.startPayment({{ payable: "plink_..." }});
    target.textContent = `Send ${{payment.amount}} ${{payment.currency}} to ${{payment.address}}`;
    trousseau.watch(payment, {{ onPaid: () => {{ target.textContent = "Paid"; }} }});
  }};
</script>"##
        )
    }

    /// How many characters the secret keys of this profile have, where they are nothing but letters and digits.
    pub(super) fn plain_length(&self) -> Option<usize> {
        match self.profile.secret {
            KeyForm::Branded => None,
            KeyForm::Plain(length) => Some(length.get()),
        }
    }

    /// How many digits a business id has, where it is none of the UUIDs.
    pub(super) fn id_digits(&self) -> Option<u8> {
        match self.profile.business_id {
            BusinessIdForm::Uuid => None,
            BusinessIdForm::Digits(count) => Some(count),
        }
    }

    /// The most keys.
    pub(super) const fn most_keys(&self) -> u32 {
        self.profile.limit.most
    }

    /// Whether each kind has that many of its own.
    pub(super) fn counts_kinds(&self) -> bool {
        self.profile.limit.per == LimitPer::KindAndEnvironment && self.profile.checkout
    }

    pub(super) const fn checkout(&self) -> bool {
        self.profile.checkout
    }

    pub(super) fn both_environments(&self) -> bool {
        self.profile.environments == Environments::Both
    }

    pub(super) const fn id_required(&self) -> bool {
        self.profile.business_id_required
    }

    pub(super) const fn id_in_header(&self) -> bool {
        self.profile.business_id_in_header
    }

    pub(super) const fn last_key_protected(&self) -> bool {
        self.profile.last_key_protected
    }

    pub(super) const fn named(&self) -> bool {
        self.profile.named
    }

    pub(super) fn test_readable(&self) -> bool {
        self.profile.reading != Reading::Never
    }

    pub(super) fn live_readable(&self) -> bool {
        self.profile.reading == Reading::Always
    }

    pub(super) fn revocable(&self) -> bool {
        self.profile.revoking == Revoking::Everyone
    }

    pub(super) fn changeable(&self) -> bool {
        self.profile.changing == Changing::Everything
    }

    pub(super) fn dates_changeable(&self) -> bool {
        self.profile.changing != Changing::Nothing
    }

    pub(super) fn keys_manage_with_scope(&self) -> bool {
        self.profile.managed_by_keys == ManagedByKeys::WithScope
    }

    pub(super) fn keys_manage(&self) -> bool {
        self.profile.managed_by_keys != ManagedByKeys::Never
    }
}

/// The address of this installation, without a slash at its end.
pub(super) fn base_url(web: &Web) -> String {
    web.app.address().as_str().trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(profile: &str) -> Reader {
        Reader::new(&Settings::default(), Some(profile), None, "http://localhost:8080".to_owned())
    }

    #[test]
    fn forms_are_those_of_the_profile() {
        let mileston = reader("mileston");
        assert!(mileston.example("test", "secret").starts_with("Mileston_TEST_"));
        assert!(mileston.example("live", "checkout").starts_with("Mileston_LIVE_CHECKOUTKEY_"));
        assert_eq!(mileston.example("test", "secret").len(), "Mileston_TEST_".len() + 38);
        assert_eq!(reader("payline").example("test", "secret").len(), 20);
        assert_eq!(reader("payline").business_id().len(), 14);
        assert_eq!(reader("codat").example("live", "secret").len(), 40);
        assert_eq!(reader("nothing").profile_name, "mileston");
    }

    #[test]
    fn an_example_is_never_taken_for_a_key() {
        let brand = trousseau_domain::brand::Brand::default();
        for (environment, kind) in [("test", "secret"), ("live", "secret"), ("test", "checkout"), ("live", "checkout")]
        {
            let text = reader("mileston").example(environment, kind);
            assert!(trousseau_domain::key_text::parse(&text, &brand).is_err(), "{text}");
        }
    }
}
