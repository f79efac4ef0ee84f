//! Amazon Cognito: user pools, by API and by OAuth endpoint.

use super::rule::Sign::{Code, Says};
use super::rule::{Table, resource, token};
use crate::classify::meaning::Meaning::{
    AccessTokenExpired, AccessTokenInvalid, ClientMisconfigured, GrantDead, RateLimited, StepUpRequired,
};

const API: &str = "https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_InitiateAuth.html";
const TOKEN: &str = "https://docs.aws.amazon.com/cognito/latest/developerguide/token-endpoint.html";
const CODE: &str =
    "https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_RespondToAuthChallenge.html";

pub(super) static TABLE: Table = Table {
    name: "cognito",
    also_named: &["aws-cognito", "amazon-cognito"],
    errors_on_success: false,
    recognised_by: &[
        Code("ExpiredCodeException"),
        Code("CodeMismatchException"),
        Code("PasswordResetRequiredException"),
        Code("NotAuthorizedException"),
    ],
    rules: &[
        token(&[Code("NotAuthorizedException"), Says("Refresh Token has been revoked")], GrantDead, API),
        token(&[Code("NotAuthorizedException"), Says("Refresh Token has expired")], GrantDead, API),
        token(&[Code("NotAuthorizedException"), Says("Invalid Refresh Token")], GrantDead, API),
        token(&[Code("NotAuthorizedException"), Says("SecretHash")], ClientMisconfigured, API),
        token(&[Code("NotAuthorizedException"), Says("Incorrect username or password")], GrantDead, API),
        token(&[Code("PasswordResetRequiredException")], StepUpRequired, API),
        token(&[Code("ExpiredCodeException")], StepUpRequired, CODE),
        token(&[Code("CodeMismatchException")], StepUpRequired, CODE),
        token(&[Code("TooManyRequestsException")], RateLimited, API),
        token(&[Code("ResourceNotFoundException")], ClientMisconfigured, API),
        token(&[Code("invalid_client")], ClientMisconfigured, TOKEN),
        resource(&[Code("NotAuthorizedException"), Says("Access Token has expired")], AccessTokenExpired, API),
        resource(&[Code("NotAuthorizedException"), Says("Access Token has been revoked")], AccessTokenInvalid, API),
    ],
};
