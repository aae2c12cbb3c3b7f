//! What the OpenAPI document says beside its routes.

use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, Ref, RefOr, Response, Schema,
};
use utoipa::openapi::{ContentBuilder, ResponseBuilder};
use utoipa::{PartialSchema as _, ToSchema as _};

use crate::dialect::{CodatErrorBody, PaylineErrorBody, ProblemBody};

/// The document without its routes, which the router adds.
pub fn base() -> OpenApi {
    let header =
        |name: &str, text: &str| SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(name, text)));
    let bearer = |text: &str| {
        SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(text)).build())
    };
    let basic = || {
        let mut scheme = Http::new(HttpAuthScheme::Basic);
        scheme.description =
            Some("`base64(ID:KEY)` with the business id, `base64(KEY:)`, or `base64(KEY)` without a colon".to_owned());
        SecurityScheme::Http(scheme)
    };
    let components = ComponentsBuilder::new()
        .security_scheme("apikey", header("apikey", "An API key of a business"))
        .security_scheme("businessid", header("businessid", "The id of the business, beside its key"))
        .security_scheme("x-api-key", header("x-api-key", "An API key of a business"))
        .security_scheme("bearer", bearer("An API key of a business"))
        .security_scheme("basic", basic())
        .security_scheme("platform", bearer("A platform key of the operator"))
        .schemas_from_iter(error_schemas())
        .build();
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("Trousseau")
                .version(env!("CARGO_PKG_VERSION"))
                .description(Some(
                    "API keys for payments. Every answer carries `X-Request-Id`; errors are RFC 9457 problems, and have \
                     the shapes of Codat and Payline on the routes that their clients call.",
                ))
                .license(Some(LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build()))
                .build(),
        )
        .components(Some(components))
        .build()
}

fn error_schemas() -> Vec<(String, RefOr<utoipa::openapi::Schema>)> {
    let mut schemas = vec![
        (ProblemBody::name().into_owned(), ProblemBody::schema()),
        (CodatErrorBody::name().into_owned(), CodatErrorBody::schema()),
        (PaylineErrorBody::name().into_owned(), PaylineErrorBody::schema()),
    ];
    ProblemBody::schemas(&mut schemas);
    CodatErrorBody::schemas(&mut schemas);
    PaylineErrorBody::schemas(&mut schemas);
    schemas
}

/// An error answer in the dialect of `path`.
fn error_response(path: &str, description: &str) -> RefOr<Response> {
    let (media_type, schema) = match crate::dialect::Dialect::of_path(path) {
        // No route of Mileston's is described here.
        crate::dialect::Dialect::V1 | crate::dialect::Dialect::Mileston | crate::dialect::Dialect::Gateway { .. } => {
            ("application/problem+json", ProblemBody::name())
        }
        crate::dialect::Dialect::Codat => ("application/json", CodatErrorBody::name()),
        crate::dialect::Dialect::Payline => ("application/json", PaylineErrorBody::name()),
    };
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(schema))).build();
    RefOr::T(ResponseBuilder::new().description(description).content(media_type, content).build())
}

/// The statuses that any route with a credential may answer, and what they mean.
const ERRORS: [(&str, &str); 10] = [
    ("400", "The request cannot be read"),
    ("401", "Who calls is not proven"),
    ("403", "The caller may not do this"),
    ("404", "Not there, or not for this caller to see"),
    ("409", "A rule that the current state breaks"),
    ("413", "The body is too large"),
    ("415", "The body's media type is not accepted"),
    ("422", "A value makes no sense"),
    ("429", "More often than a limit of the key or of its business allows; see Retry-After"),
    ("503", "Overload, or a fact that cannot be proven right now; see Retry-After"),
];

/// Whether there is a parameter of the query, which may make no sense as a body may.
fn takes_query(operation: &Operation) -> bool {
    let mut parameters = operation.parameters.iter().flatten();
    parameters.any(|parameter| matches!(parameter, RefOr::T(known) if known.parameter_in == ParameterIn::Query))
}

/// Whether a key of a business may call it, which may have limits.
fn takes_business_key(operation: &Operation) -> bool {
    let names_other = |requirement| {
        let schemes = serde_json::to_value(requirement).expect("names of schemes");
        schemes.as_object().is_some_and(|schemes| schemes.keys().any(|scheme| scheme != "platform"))
    };
    operation.security.iter().flatten().any(names_other)
}

/// A body that may be left out is described as optional; `null` in its place is refused.
fn without_null(operation: &mut Operation) {
    let Some(RefOr::T(body)) = &mut operation.request_body else { return };
    for content in body.content.values_mut() {
        let RefOr::T(content) = content else { continue };
        let Some(RefOr::T(Schema::OneOf(either))) = &content.schema else { continue };
        let named: Vec<_> = either.items.iter().filter(|item| matches!(item, RefOr::Ref(_))).cloned().collect();
        if let [only] = named.as_slice() {
            content.schema = Some(only.clone());
        }
    }
}

/// Adds the error answers to every operation that asks for a credential, each in its own dialect.
pub fn with_errors(mut document: OpenApi) -> OpenApi {
    for (path, item) in &mut document.paths.paths {
        let takes_body = [&item.post, &item.patch].into_iter().any(Option::is_some);
        let operations = [&mut item.get, &mut item.post, &mut item.patch, &mut item.delete];
        for operation in operations.into_iter().flatten().filter(|operation| operation.security.is_some()) {
            without_null(operation);
            for (status, description) in ERRORS {
                let applies = match status {
                    "413" | "415" => takes_body,
                    "422" => takes_body || takes_query(operation),
                    "429" => takes_business_key(operation),
                    _ => true,
                };
                if !applies {
                    continue;
                }
                let responses = &mut operation.responses.responses;
                responses.entry(status.to_owned()).or_insert_with(|| error_response(path, description));
            }
        }
    }
    document
}
