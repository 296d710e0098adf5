"""The API's response when a function fails.

Stock: 502 with the function's error document (type, message, trace) in the body; a result that is not a proxy response
becomes a 200.

AWS: 502 `{"message": "Internal server error"}` for both, through the DEFAULT_5XX gateway response if there is one.

Why it matters: no error may show a stack trace or an exception's text, and only AWS's own response proves that.
"""

from ministack.services import apigateway_v1


class IntegrationFailed(apigateway_v1._GatewayError):
    """The function failed: an API Gateway error, with status 502 unless DEFAULT_5XX sets another."""

    status = 502

    def __init__(self):
        super().__init__("DEFAULT_5XX", "Internal server error", "InternalServerErrorException")


def apply():
    """Respond for a failed function as API Gateway does."""
    stock_invoke = apigateway_v1._invoke_lambda_proxy_v1
    stock_shape = apigateway_v1._lambda_proxy_response
    stock_render = apigateway_v1._gateway_error_response

    class FunctionFailed(Exception):
        """Carries the failure past ministack's rendering."""

    def shape(result):
        if not result.get("throttle") and (result.get("error") or not isinstance(result.get("body"), dict)):
            raise FunctionFailed
        return stock_shape(result)

    async def invoke(*args, **kwargs):
        try:
            return await stock_invoke(*args, **kwargs)
        except FunctionFailed:
            return IntegrationFailed()

    def render(error, request):
        status, headers, body = stock_render(error, request)
        if isinstance(error, IntegrationFailed) and not sets_status(request, error.response_type):
            status = error.status
        return status, headers, body

    apigateway_v1._lambda_proxy_response = shape
    apigateway_v1._invoke_lambda_proxy_v1 = invoke
    apigateway_v1._gateway_error_response = render


def sets_status(request, response_type):
    """Whether the effective gateway response sets a status."""
    deployed = apigateway_v1._deployed_gateway_responses.get(request["api_id"], {})
    responses = deployed.get(request["stage"]["deploymentId"]) or {}
    return "statusCode" in responses.get(response_type, {})
