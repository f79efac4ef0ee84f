//! THE STRATEGY TABLE: every grant type, and how each is renewed. A new one is a file here and a
//! line in [`TABLE`].

mod api_key;
mod authorization_code;
mod client_credentials;
mod delegate;
mod device_code;
mod github_app;
mod jwt_bearer;
mod key_pair_jwt;
mod refresh_token;
mod service_account;
mod token_exchange;

use outlast_core::GrantType;

/// The grant types, sorted by name.
pub static TABLE: &[&dyn GrantType] = &[
    &api_key::ApiKey,
    &authorization_code::AuthorizationCode,
    &client_credentials::ClientCredentials,
    &delegate::Delegate,
    &device_code::DeviceCode,
    &github_app::GithubApp,
    &jwt_bearer::JwtBearer,
    &key_pair_jwt::KeyPairJwt,
    &refresh_token::RefreshToken,
    &token_exchange::TokenExchange,
];

/// The grant type of that name, as the configuration writes it.
pub fn find(name: &str) -> Option<&'static dyn GrantType> {
    TABLE.iter().copied().find(|grant_type| grant_type.strategy().grant_type == name)
}
