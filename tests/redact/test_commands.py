"""Secrets given to programs are found, and what only looks like them is left alone."""

from __future__ import annotations

import pytest

from tests.redact.marks import alone, as_marked

HELD = r"""
$cred = ConvertTo-SecureString "[[PASSWORD:Al1ce@Work]]" -AsPlainText -Force
my voicemail pin is [[PASSWORD:7712]]
mysql -uroot -p[[PASSWORD:Dune_33]] -h [[IP_ADDRESS:10.1.1.1]] shop
mysql -u root --password='[[PASSWORD:Sp4ce bar]]' shop
sshpass -p '[[PASSWORD:Ab9!xx]]' ssh root@[[IP_ADDRESS:10.0.0.5]]
curl -u '[[URL_CREDENTIALS:svc:Thorn-bush7]]' https://x.io
htpasswd -bc .htpasswd bob [[PASSWORD:Rye_field8]]
openssl enc -aes-256-cbc -k [[PASSWORD:N0rth-pole]] -in a -out b
echo '[[PASSWORD:Pa-ss8word]]' | sudo -S apt update
redis-cli -h [[IP_ADDRESS:10.0.0.3]] -a [[PASSWORD:Gorse_77]] ping
mongo -u root -p [[PASSWORD:Flint_5a]] --authenticationDatabase admin
ldapsearch -x -D cn=admin -w [[PASSWORD:Bind_4me]] -b dc=x
unzip -P [[PASSWORD:Zip_9ped]] a.zip
7z x -p[[PASSWORD:Seven9z]] a.7z
gpg --batch --passphrase [[PASSWORD:Gpg_8ood]] -d a.gpg
machine api.x.io login bob password [[PASSWORD:Net_rc99]]
wandb login [[PASSWORD:3f8e1b9c7d2a4056e8f1c3b5d7a9e0f2c4b6d8a0]]
username admin privilege 15 password 0 [[PASSWORD:C1sco_lab]]
PIN for the SIM is [[PASSWORD:8830]]
set "PGPASSWORD=[[PASSWORD:Loch_66n]]"
smbclient //nas/pub -U 'corp\bob%[[PASSWORD:Glen_tarn5]]'
mosquitto_pub -h b -u dev -P '[[PASSWORD:Glen#tarn7]]' -t a -m b
mysql --user=root --password=[[PASSWORD:Glen_tarn11]] db
ssh-keygen -t ed25519 -N '[[PASSWORD:Glen tarn 12]]' -f k
CREATE USER 'a'@'%' IDENTIFIED BY '[[PASSWORD:Glen_tarn14]]';
GRANT ALL ON *.* TO 'a'@'%' IDENTIFIED BY "[[PASSWORD:Glen_tarn17]]";
net user bob [[PASSWORD:Glen_tarn20]] /add
$pw = '[[PASSWORD:Glen!tarn22]]' | ConvertTo-SecureString -AsPlainText -Force
keytool -genkey -storepass [[PASSWORD:Glen_tarn23]] -keypass [[PASSWORD:Glen_tarn24]]
wpa_passphrase Attic "[[PASSWORD:owl box 77]]"
kubectl create secret docker-registry r --docker-password=[[PASSWORD:Glen_tarn25]] --docker-username=x
打印机管理员 PIN：[[PASSWORD:7731]]
echo "[[URL_CREDENTIALS:bob:Reed+Bunting8]]" | chpasswd
mysql -h [[IP_ADDRESS:10.0.0.3]] -P 3306 -u app -p"[[PASSWORD:Reed Bunting 9]]" x
PGPASSWORD="[[PASSWORD:Reed&Bunting1]]" pg_dump x
redis-cli --pass [[PASSWORD:ReedBunting22]] ping
ftp -n <<E¶user bob [[PASSWORD:Reed_Bunting3]]¶E
lftp -u bob,[[PASSWORD:Reed_Bunting4]] ftp.x.io
openssl pkcs12 -export -passout pass:[[PASSWORD:Reed-77]] -out a.p12
zip -P [[PASSWORD:Reed_zip8]] a.zip b
rar a -hp[[PASSWORD:Reed_rar9]] a.rar b
gpg --passphrase '[[PASSWORD:Reed gpg 1]]' -c a
expect -c 'send "[[PASSWORD:Reed_exp2]]\r"'
IEX Set-ADAccountPassword bob -NewPassword (ConvertTo-SecureString '[[PASSWORD:Reed!ad33]]' -AsPlainText -Force)
""".strip("\n").split("\n")
NEAR = r"""
unzip -P
docker run -p 8080:80 -e PASSWORD nginx
tar -pxzf a1.tgz
psql -p 5433 -U bob
mongo --port 27017 -p
docker login -u bob --password-stdin
kubectl get secret db-secret-v2 -o yaml
echo "hello w0rld" | sed 's/a/b/'
unzip -o release-v2.zip -d out
grep -p pattern1 file
ps -p 12345 -o pid
mkdir -p app/v2/data
openssl req -new -key server1.key -out a.csr
python train.py -p config2.yaml
zip -r a1.zip dir
AUTH failed for user bob
net use shows Z: mapped
snmp v2c community string is configured
7z x archive2.7z -o/tmp/out1
docker tag 9cfb933cbdac r.io/x:2.31.7
""".strip("\n").split("\n")


@pytest.mark.parametrize("line", HELD)
def test_what_is_private_is_found(line: str) -> None:
    as_marked(line)


@pytest.mark.parametrize("line", NEAR)
def test_what_only_looks_private_is_left_alone(line: str) -> None:
    alone(line)
