"""The three endpoints."""

from django.urls import path
from payments import views

urlpatterns = [
    path("api/payments/create-order/", views.CreateOrder.as_view()),
    path("api/payments/verify/", views.Verify.as_view()),
    path("api/payments/webhook/", views.Webhook.as_view()),
]
