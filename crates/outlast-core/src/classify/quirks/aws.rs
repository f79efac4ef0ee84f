//! Amazon Web Services: the code is the same in header, JSON and XML.

use super::rule::Sign::{Code, Says};
use super::rule::{Table, resource};
use crate::classify::meaning::Meaning::{
    AccessTokenExpired, AccessTokenInvalid, ClientMisconfigured, NotAuth, PermissionDenied, RateLimited, Transient,
};

const COMMON: &str = "https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html";
const S3: &str = "https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html";
const EC2: &str = "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html";
const GATEWAY: &str =
    "https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html";

pub(super) static TABLE: Table = Table {
    name: "aws",
    also_named: &["amazon", "amazon-web-services", "s3", "aws-s3", "sts"],
    errors_on_success: false,
    recognised_by: &[],
    rules: &[
        resource(&[Code("ExpiredToken")], AccessTokenExpired, S3),
        resource(&[Code("ExpiredTokenException")], AccessTokenExpired, COMMON),
        resource(&[Code("RequestExpired")], AccessTokenExpired, EC2),
        resource(&[Code("AccessDenied"), Says("Request has expired")], AccessTokenExpired, S3),
        resource(&[Code("InvalidClientTokenId")], AccessTokenInvalid, COMMON),
        resource(&[Code("InvalidToken")], AccessTokenInvalid, S3),
        resource(&[Code("UnrecognizedClientException")], AccessTokenInvalid, COMMON),
        resource(&[Code("AuthFailure")], AccessTokenInvalid, EC2),
        resource(&[Code("InvalidAccessKeyId")], ClientMisconfigured, S3),
        resource(&[Code("SignatureDoesNotMatch")], ClientMisconfigured, S3),
        resource(&[Code("InvalidSignatureException")], ClientMisconfigured, COMMON),
        resource(&[Code("IncompleteSignature")], ClientMisconfigured, COMMON),
        resource(&[Code("RequestTimeTooSkewed")], ClientMisconfigured, S3),
        resource(&[Code("ThrottlingException")], RateLimited, COMMON),
        resource(&[Code("SlowDown")], RateLimited, S3),
        resource(&[Code("RequestLimitExceeded")], RateLimited, EC2),
        resource(&[Code("AccessDenied")], PermissionDenied, S3),
        resource(&[Code("AccessDeniedException")], PermissionDenied, COMMON),
        resource(&[Code("UnauthorizedOperation")], PermissionDenied, EC2),
        resource(&[Code("ServiceUnavailable")], Transient, COMMON),
        resource(&[Code("ExpiredNextTokenException")], NotAuth, COMMON),
        resource(&[Code("UnauthorizedException"), Says("token has expired")], AccessTokenExpired, GATEWAY),
    ],
};
