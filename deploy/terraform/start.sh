#!/bin/bash
set -euo pipefail
install -d -m 0700 /etc/farspawn
for file in farspawn chain.pem key.pem app.key farspawn.service; do
    aws s3 cp --region ${region} "s3://${state_bucket}/farspawn/$file" /etc/farspawn/
done
install -m 0755 /etc/farspawn/farspawn /usr/local/bin/farspawn
install -d -m 0700 /var/lib/private/farspawn
install -m 0600 -t /var/lib/private/farspawn /etc/farspawn/{chain.pem,key.pem,app.key}
cat > /etc/farspawn/flags <<'END'
AWS_REGION=${region}
FLAGS="--app app=app.key --function ${function} --listen 0.0.0.0:7443 --http 0.0.0.0:8443 --tls-cert chain.pem --tls-key key.pem --public-url wss://${host_name}:7443 --workers ${workers_max}"
END
cp /etc/farspawn/farspawn.service /etc/systemd/system/
systemctl daemon-reload
systemctl enable --now farspawn
