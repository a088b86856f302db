output "address" {
  description = "host_name must lead here"
  value       = aws_eip.coordinator.public_ip
}

output "relay" {
  value = "wss://${var.host_name}:7443"
}

output "http" {
  value = "https://${var.host_name}:8443"
}

output "function" {
  value = aws_lambda_function.worker.function_name
}
